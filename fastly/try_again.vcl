# Other WebSockets than our own (websocket.vcl) while no origin answers. Pushpin drops a connection
# whose event gets an error, and a client sees nothing but an end (1006). So an error becomes what a
# socket can say: close, code 1013, try again later (RFC 6455, 7.4; IANA's registry). Whoever handles events, a function above
# all, can't say that itself when it fails, is throttled or takes too long.

# Leaves X-Event: "opening", "idle" for a keep-alive without events, or "open".
sub event_of_request {
    unset req.http.X-Event;
    if (req.method != "POST" || req.http.X-Socket
        || req.http.Content-Type != "application/websocket-events") {
        return;
    }
    set req.http.X-Event = "open";
    if (req.http.Content-Length == "0") {
        set req.http.X-Event = "idle";
    } elsif (req.http.Content-Length == "6") {
        # As short as OPEN are only a PING and a PONG.
        std.cache_req_body(1KB);
        if (bodyaccess.rematch_req_body("^OPEN\r\n") == 1) {
            set req.http.X-Event = "opening";
        }
    }
}

# An opening that fails stays an HTTP error: 503 says by itself to try again.
sub answer_event_for_origin {
    if (req.http.X-Event ~ "^(open|idle)$" && (resp.status >= 500 || resp.status == 429)) {
        return (synth(200, "socket"));
    }
}

sub close_socket {
    if (resp.reason != "socket") {
        return;
    }
    set resp.reason = "OK";
    set resp.http.Content-Type = "application/websocket-events";
    if (req.http.X-Event == "open") {
        # 1013 is 03 f5; content of 11 (hex) bytes.
        synthetic(blob.transcode(decoding=URL, encoding=IDENTITY,
            encoded="CLOSE 11%0d%0a%03%f5try again later%0d%0a"));
    }
    # Nothing was asked of the origin: the socket, and what it is sent, go on.
    return (deliver);
}
