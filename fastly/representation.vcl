# One cache key per representation: parameters that mean nothing can't flood the origin.

sub representation {
    if (req.url ~ "^/values/[^/?]+(\?|$)") {
        call as_of_request;
        call after_of_request;
        if (req.url ~ "[?&]wait=[0-9]{1,3}(&|$)") {
            set req.http.X-Wait = regsub(req.url, "^.*?[?&]wait=([0-9]+).*$", "\1");
        } elsif (req.url ~ "[?&]wait=") {
            set req.http.X-Wait = "invalid";
        }
        call canonical_value_url;
    } elsif (req.url ~ "^/stream/?(\?|$)") {
        set req.http.X-Hold = "yes";
        set req.http.Accept = "text/plain";
        call after_of_request;
        set req.url = "/stream";
        call add_after;
    } elsif (req.url ~ "^/(values/[^/?]+/history)?(\?|$)" || req.url ~ "^/static/") {
        set req.url = req.http.X-Path;
        set req.http.Accept = "*/*";
    }
    if (req.http.X-Hold) {
        # A 304 or 206 would carry Grip-Hold too, and hold a stream without its beginning.
        unset req.http.If-None-Match;
        unset req.http.If-Modified-Since;
        unset req.http.Range;
    }
}

# ?as= beats Accept.
sub as_of_request {
    if (req.url ~ "[?&]as=(json|sse|ndjson)(&|$)") {
        set req.http.X-As = regsub(req.url, "^.*?[?&]as=([a-z]+).*$", "\1");
    } elsif (req.url ~ "[?&]as=") {
        set req.http.X-As = "invalid";
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

# What the client has seen: a recovery says it in Grip-Last, a browser in Last-Event-ID.
sub after_of_request {
    if (req.url ~ "[?&]recover(=[^&]*)?(&|$)") {
        set req.http.X-Recover = "yes";
    }
    if (req.url ~ "[?&]recover" && req.url ~ "[?&]tip=[0-9]+(&|$)") {
        set req.http.X-Tip = regsub(req.url, "^.*[?&]tip=([0-9]+).*$", "\1");
    }
    if (req.http.Grip-Last
        && regsub(req.http.Grip-Last, "^.*last-id=([0-9]+).*$", "\1") != req.http.X-Tip) {
        set req.http.X-After = regsub(req.http.Grip-Last, "^.*last-id=([0-9]+).*$", "\1");
    } elsif (req.http.Last-Event-ID && req.http.X-Hold) {
        set req.http.X-After = req.http.Last-Event-ID;
    } elsif (req.url ~ "[?&]after=[^&]") {
        set req.http.X-After = regsub(req.url, "^.*?[?&]after=([^&]*).*$", "\1");
    }
    if (req.http.X-After == "") {
        unset req.http.X-After;
    } elsif (req.http.X-After && req.http.X-After !~ "^[0-9]{1,18}$") {
        set req.http.X-After = "invalid";
    }
}

sub canonical_value_url {
    set req.url = req.http.X-Path;
    if (req.http.X-As != "json") {
        set req.url = req.url + "?as=" + req.http.X-As;
    }
    call add_after;
    if (req.http.X-Wait) {
        set req.url = req.url + "&wait=" + req.http.X-Wait;
    }
    # The first parameter follows a question mark, whichever it is.
    set req.url = regsub(req.url, "^([^?&]+)&", "\1?");
}

sub add_after {
    # Where to look when the origin is away: the same representation from its beginning.
    set req.http.X-Plain-Url = req.url;
    if (req.http.X-Recover) {
        set req.url = req.url + "&recover";
    }
    if (req.http.X-After) {
        set req.url = req.url + "&after=" + req.http.X-After;
    }
    set req.url = regsub(req.url, "^([^?&]+)&", "\1?");
}
