# WebSockets: Pushpin POSTs what a client says, as events; any origin may answer. They pass like
# other POSTs. But an error is the end of a socket for Pushpin, and an origin that is away should
# end none: the edge answers for it, by a message in the same form.

sub note_socket_events {
    # Only an open socket has a memory; while one opens, an error refuses it, as it should.
    if (req.method == "POST" && req.http.Content-Type == "application/websocket-events"
        && req.http.Meta-Socket) {
        set req.http.X-Socket = "yes";
    }
}

sub keep_socket_open {
    if (bereq.http.X-Socket && beresp.status >= 500) {
        return (error(503));
    }
}

sub answer_socket {
    if (!bereq.http.X-Socket) {
        return;
    }
    set beresp.status = 200;
    set beresp.reason = "OK";
    set beresp.http.Content-Type = "application/websocket-events";
    unset beresp.http.Retry-After;
    # Its type, its length as a hexadecimal number, a line end, `m:` and the message, a line end.
    synthetic(blob.transcode(decoding = URL, encoded = "TEXT%205a%0D%0A"
        + {"m:{"type":"error","status":503,"detail":"no origin answers; try again later","retry":true}"}
        + "%0D%0A"));
    return (deliver);
}
