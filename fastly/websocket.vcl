# WebSockets: Pushpin POSTs what becomes of each, as events. The first is OPEN, and its answer is the
# same for all who connect to one URL: it is cached like a hold, and purged with the value. What a
# client says afterwards passes like other POSTs, and any origin may answer it.

# In: X-Path, and a canonical req.url. Out: X-Socket: none, "opens" or "open".
sub socket_events {
    if (req.method != "POST" || req.http.Content-Type != "application/websocket-events"
        || !req.http.Grip-Sig || req.http.X-Path !~ "^/(ws|values/[^/]+)$") {
        return;
    }
    # An open one has a memory (origin/socket_memory.py), which Pushpin sends along.
    if (req.http.Meta-Socket) {
        set req.http.X-Socket = "open";
        call end_of_socket;
    } elsif (req.http.Content-Length == "6") {
        set req.http.X-Socket = "opens";
        set req.method = "GET";
        set req.url = req.http.X-Path + "?as=socket";
        unset req.http.Content-Type;
        unset req.http.Content-Length;
        unset req.http.X-After;
        unset req.http.X-Hold;
        unset req.http.X-Wait;
    }
}

# A client is gone without a word. Nobody has to know, and when many are gone at once they come
# back at once too.
sub end_of_socket {
    if (req.http.Content-Length == "12" && std.cache_req_body(1KB)
        && bodyaccess.rematch_req_body("^DISCONNECT\s*$") == 1) {
        return (synth(200, "gone"));
    }
}

# A socket without a chain would show an old copy until the next release or confirm: it does not open.
sub refuse_stale_socket {
    if (req.http.X-Socket == "opens" && req.http.X-Stale && resp.status == 200) {
        return (synth(503));
    }
}

# For Pushpin an error is the end of an open socket. An origin that is away should end none: the edge
# answers for it, by a message.
sub keep_socket_open {
    if (bereq.http.X-Socket == "open" && (beresp.status >= 500 || beresp.status == 429)) {
        return (error(503));
    }
}

sub answer_open_socket {
    if (bereq.http.X-Socket != "open") {
        return;
    }
    set beresp.status = 200;
    set beresp.reason = "OK";
    set beresp.http.Content-Type = "application/websocket-events";
    # Its type, its length as a hexadecimal number, a line end, `m:` and the message, a line end.
    synthetic(blob.transcode(decoding = URL, encoded = "TEXT%205a%0D%0A"
        + {"m:{"type":"error","status":503,"detail":"no origin answers; try again later","retry":true}"}
        + "%0D%0A"));
    return (deliver);
}

sub answer_gone {
    if (resp.reason == "gone") {
        set resp.reason = "OK";
        set resp.http.Content-Type = "application/websocket-events";
        synthetic("");
        return (deliver);
    }
}
