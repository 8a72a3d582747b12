# Holds: answers with GRIP instructions, by which Pushpin keeps a connection open.

sub finish_hold {
    if (!req.http.Grip-Sig || req.method == "HEAD") {
        # Nobody in front who would understand, or nothing to hold.
        call drop_grip;
    } elsif (resp.http.Grip-Hold) {
        if (req.http.X-Stale) {
            call unchain;
        }
        call finish_wait;
    }
}

sub drop_grip {
    unset resp.http.Grip-Hold;
    unset resp.http.Grip-Channel;
    unset resp.http.Grip-Link;
    unset resp.http.Grip-Keep-Alive;
    unset resp.http.Grip-Timeout;
    unset resp.http.Grip-Set-Meta;
    unset resp.http.Grip-Status;
}

# A stale hold is behind the chain, and the recovery would find the origin down. So it claims to
# stand where the chain is, at the version that was announced last (the "tip"), and goes on from
# there. It is on the channel `stale` as well, with `<delivered>-<tip>` as its id there: once the
# origin is back the publisher hints on it, and Pushpin recovers with both ids in Grip-Last
# (after.vcl). Where the tip isn't known the hold stays without a chain until then.
#
# Not in the link: Pushpin lets all recoveries of one path with one Grip-Last share an answer,
# whatever their queries say, and a viewer who has really seen the tip needs another one.
sub unchain {
    set req.http.X-After = resp.http.Holdfast-Version;
    set resp.http.Grip-Channel = regsub(resp.http.Grip-Channel, ";\s*prev-id=[0-9]+", "");
    var.set_string("keys", resp.http.Surrogate-Key);
    call stand_at_tip;
}

# In: "keys", X-After, and Grip-Channel without a chain.
sub stand_at_tip {
    call look_for_tip;
    if (var.get_string("tip") != "") {
        set resp.http.Grip-Channel = resp.http.Grip-Channel + "; prev-id=" + var.get_string("tip")
            + ", stale; prev-id=" + req.http.X-After + "-" + var.get_string("tip");
    } else {
        set resp.http.Grip-Channel = resp.http.Grip-Channel
            + ", stale; prev-id=" + req.http.X-After + "-0";
    }
    # Where no tip is known this alone is in Grip-Last, and representations share their path.
    if (req.http.X-As == "ndjson") {
        set resp.http.Grip-Channel = resp.http.Grip-Channel + "-ndjson";
    }
}

# A hold without content, for a viewer who comes back while the origin is away.
sub synthetic_hold {
    if (resp.reason != "hold") {
        return;
    }
    set resp.reason = "OK";
    set resp.http.Grip-Hold = "stream";
    set resp.http.Cache-Control = "no-cache";
    set resp.http.X-Accel-Buffering = "no";
    set resp.http.Access-Control-Allow-Origin = "*";
    set resp.http.Vary = "Accept";
    set resp.http.X-Cache = "MISS";
    if (req.http.X-Path == "/stream") {
        set resp.http.Content-Type = "text/plain; charset=utf-8";
        set resp.http.Grip-Channel = "updates";
        set resp.http.Grip-Link = "</stream?recover>; rel=next";
        set resp.http.Grip-Keep-Alive = "\n; format=cstring; timeout=20";
        synthetic({"
"});
    } elsif (req.http.X-Wait) {
        call synthetic_wait;
    } else {
        set resp.http.Grip-Channel = "value:" + regsub(req.http.X-Path, "^/values/", "");
        set resp.http.Grip-Link =
            "<" + req.http.X-Path + "?recover&as=" + req.http.X-As + ">; rel=next";
        if (req.http.X-As == "ndjson") {
            set resp.http.Content-Type = "application/x-ndjson";
            set resp.http.Grip-Channel = resp.http.Grip-Channel + ":ndjson";
            set resp.http.Grip-Keep-Alive = "\n; format=cstring; timeout=20";
            synthetic({"
"});
        } else {
            set resp.http.Content-Type = "text/event-stream; charset=utf-8";
            set resp.http.Grip-Keep-Alive = ":\n\n; format=cstring; timeout=20";
            synthetic({":

"});
        }
    }
    # Without any copy of a value: its key all the same.
    if (!req.http.X-Key) {
        set req.http.X-Key = "value:" + regsub(req.http.X-Path, "^/values/", "");
    }
    var.set_string("keys", req.http.X-Key);
    call stand_at_tip;
    call finish_wait;
    if (req.method == "HEAD") {
        call drop_grip;
    }
    return (deliver);
}
