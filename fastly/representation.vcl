# One cache key per representation: parameters that mean nothing can't flood the origin, and neither
# can what a client says it has seen (after.vcl).

sub representation {
    # One spelling for each path: the origin would read these as another's.
    if (req.http.X-Path ~ "//|%|#" || (req.http.X-Path ~ "^/values/"
        && req.http.X-Path !~
            "^/values/[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/history|/held/[A-Za-z0-9._-]+)?$")) {
        return (synth(404));
    }
    if (req.url ~ "^/values/[^/?]+(/held/[^/?]+)?(\?|$)") {
        call as_of_request;
        call wait_of_request;
        call after_of_request;
        set req.url = req.http.X-Path;
        if (req.http.X-As != "json") {
            set req.url = req.url + "?as=" + req.http.X-As;
        } elsif (req.http.X-Wait == "invalid") {
            set req.url = req.url + "?wait=invalid";
            unset req.http.X-After;
        }
        call ask_plainly;
    } elsif (req.url ~ "^/stream(\?|$)") {
        set req.http.X-Hold = "yes";
        set req.http.Accept = "text/plain";
        call after_of_request;
        set req.url = "/stream";
        call ask_plainly;
    } elsif (req.url ~ "^/events(/|\?|$)") {
        call events_of_request;
    } elsif (req.url ~ "^/(ws|values/[^/?]+/history)?(\?|$)" || req.url ~ "^/static/") {
        set req.url = req.http.X-Path;
        set req.http.Accept = "*/*";
    }
    # Everything is small. A 416 would need a problem, and a hold's 206 or 304 would carry Grip-Hold
    # too, and hold a stream without its beginning.
    unset req.http.Range;
    # It is in X-After, or in the URL. An answer that goes to all must not depend on one's header.
    unset req.http.Last-Event-ID;
    if (req.http.X-Hold) {
        unset req.http.If-None-Match;
        unset req.http.If-Modified-Since;
    }
}

# ?as= beats Accept; of several the first counts, as in nginx.
sub as_of_request {
    if (req.url ~ "[?&]as=") {
        set req.http.X-As = regsub(req.url, "^.*?[?&]as=([^&]*).*$", "\1");
        if (req.http.X-As !~ "^(json|sse|ndjson)$") {
            set req.http.X-As = "invalid";
        }
    } elsif (req.http.Accept ~ "(?i)text/event-stream") {
        set req.http.X-As = "sse";
    } elsif (req.http.Accept ~ "(?i)application/x-ndjson") {
        set req.http.X-As = "ndjson";
    } else {
        set req.http.X-As = "json";
    }
    if (req.http.X-As == "sse") {
        set req.http.Accept = "text/event-stream";
        set req.http.X-Hold = "yes";
    } elsif (req.http.X-As == "ndjson") {
        set req.http.Accept = "application/x-ndjson";
        set req.http.X-Hold = "yes";
    } else {
        set req.http.Accept = "application/json";
    }
}
