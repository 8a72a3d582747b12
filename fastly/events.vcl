# /events/{topic}/: what of a request the origin is asked for. A position goes into the path: it is
# the client's Last-Event-ID, or what Pushpin says in Grip-Last when it recovers, and nothing else.

sub events_of_request {
    if (req.http.X-Path ~ "^/events/?$") {
        set req.url = req.http.X-Path;
        set req.http.Accept = "*/*";
        return;
    }
    set req.http.X-Hold = "yes";
    set req.http.Accept = "text/event-stream";
    set req.http.X-After = "";
    if (req.http.X-Path ~ "^/events/[^/]+/(held/[^/]+/)?at/") {
        # Pushpin goes on to the next page: its Grip-Last still says where it began.
        set req.url = req.http.X-Path;
    } elsif (req.url ~ "[?&]recover(&|$)" && req.http.Grip-Last ~ "^events:[^;]+; last-id=[0-9-]+$") {
        set req.url = req.http.X-Path + "at/"
            + regsub(req.http.Grip-Last, "^.*last-id=([0-9-]+)$", "\1")
            + regsub(req.http.Grip-Last, "^events:[^:;]+(:([A-Za-z0-9_-]+))?;.*$", "/\2");
        set req.url = regsub(req.url, "/$", "");
    } else {
        call events_position;
        call canonical_events_url;
    }
    unset req.http.X-After;
}

sub events_position {
    if (req.http.Last-Event-ID) {
        set req.http.X-After = req.http.Last-Event-ID;
    } elsif (req.url ~ "[?&]after=[^&]") {
        set req.http.X-After = regsub(req.url, "^.*?[?&]after=([^&]*).*$", "\1");
        # / and , as scripts may spell them in a query.
        set req.http.X-After = regsuball(req.http.X-After, "(?i)%2f|%2c", "-");
    }
    if (req.http.X-After ~ "^[0-9]{1,16}[/-][0-9]{1,19}([,-][0-9]{1,19})*$") {
        set req.http.X-After = regsuball(req.http.X-After, "[/,]", "-");
    } elsif (req.http.X-After != "") {
        set req.http.X-After = "invalid";
    }
}

sub canonical_events_url {
    var.set_string("query", "");
    if (req.url ~ "[?&]key=") {
        var.set_string("query", "&key=" + regsub(req.url, "^.*?[?&]key=([^&]*).*$", "\1"));
    }
    if (req.http.X-After != "") {
        var.set_string("query", var.get_string("query") + "&after=" + req.http.X-After);
    } elsif (req.url ~ "[?&]from=(earliest|[0-9]{1,15})(&|$)") {
        var.set_string("query", var.get_string("query") + "&from="
            + regsub(req.url, "^.*?[?&]from=([^&]*).*$", "\1"));
    } elsif (req.url ~ "[?&]from=" && req.url !~ "[?&]from=latest(&|$)") {
        var.set_string("query", var.get_string("query") + "&from=invalid");
    }
    set req.url = req.http.X-Path + regsub(var.get_string("query"), "^&", "?");
}
