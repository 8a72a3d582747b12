# Long-polls: a request for a snapshot that may wait for the next release. Everybody is looked up
# like the rest (after.vcl); only who has seen the copy's version waits. The origin is asked once a
# version for the instructions, with the longest wait; each client's own is put in on the way out.

# In: X-As, X-Hold. Out: X-Wait: none, 1 to 120 s, "invalid", or 0: it has waited long enough.
sub wait_of_request {
    if (req.http.X-As == "json") {
        if (req.url ~ "[?&]wait=") {
            set req.http.X-Wait = regsub(req.url, "^.*?[?&]wait=([^&]*).*$", "\1");
        }
        if (req.http.X-Wait == "") {
            unset req.http.X-Wait;
        }
        if (!req.http.X-Wait) {
            call wait_of_prefer;
        } elsif (req.http.X-Wait !~ "^([1-9][0-9]?|1[01][0-9]|120)$") {
            set req.http.X-Wait = "invalid";
        }
        if (req.http.X-Wait ~ "^[1-9]") {
            call wait_on;
        }
    }
    unset req.http.Prefer;
}

# Pushpin asks again by itself: when the chain breaks, when an origin is back, and a second after it
# first heard of a channel. A wait goes on then; so its end is an id, on a channel without items.
# Pushpin holds nothing for less than 5 s: nginx lets go who asked for 5 s or less, and who has less
# than that left is let go here.
sub wait_on {
    if (std.integer(req.http.X-Wait, 0) <= 5) {
        return;
    }
    std.collect(req.http.Grip-Last);
    var.set_real("left", std.real(req.http.X-Wait, 0.0));
    set req.http.X-Until = std.time2real(now, 0.0) + var.get_real("left");
    if (req.http.Grip-Last ~ "until;\s*last-id=[0-9]{1,11}\.[0-9]") {
        set req.http.X-Until =
            regsub(req.http.Grip-Last, "^.*until;\s*last-id=([0-9]+\.[0-9]+).*$", "\1");
        var.set_real("left", std.real(req.http.X-Until, 0.0) - std.time2real(now, 0.0));
    }
    if (var.get_real("left") < 4.5) {
        set req.http.X-Wait = "0";
    } elsif (var.get_real("left") < std.real(req.http.X-Wait, 0.0)) {
        set req.http.X-Wait = std.real2integer(var.get_real("left") + 0.5, 5);
    }
}

# RFC 7240: the first of several counts, and what can't be honoured is ignored.
sub wait_of_prefer {
    std.collect(req.http.Prefer);
    if (req.http.Prefer !~ {"(?i)^(.*?,)?\s*wait\s*=\s*"?[0-9]+"?\s*([,;]|$)"}) {
        return;
    }
    set req.http.X-Wait = regsub(req.http.Prefer,
        {"(?i)^(?:.*?,)?\s*wait\s*=\s*"?0*([0-9]*)"?\s*(?:[,;].*)?$"}, "\1");
    if (req.http.X-Wait == "") {
        unset req.http.X-Wait;
    } elsif (req.http.X-Wait !~ "^([1-9][0-9]?|1[01][0-9]|120)$") {
        set req.http.X-Wait = "120";
    }
}

# The client has seen the version of this copy, or a newer one.
sub compare_snapshot {
    set req.http.X-Key = resp.http.Surrogate-Key;
    if (resp.http.Holdfast-Version == req.http.X-After) {
        call hold_back_or_nothing;
    }
    if (!req.http.X-Wait) {
        return;
    }
    if (req.http.X-Stale) {
        # The origin is away, and nobody must be shown again what he knows already.
        call hold_back_or_nothing;
    }
    if (req.url == req.http.X-Plain-Url) {
        # No id of ours, or one of a release that this node was not told of yet: then its copy would
        # make the client ask again at once, and again.
        unset req.http.X-Judged;
        set req.http.X-Ask = "unknown";
        call ask_apart;
        call restart_apart;
    }
}

sub hold_back_or_nothing {
    if (req.http.X-Wait !~ "^[1-9]" || !req.http.Grip-Sig || req.method != "GET") {
        return (synth(204, "nothing newer"));
    }
    if (req.http.X-Stale) {
        return (synth(200, "hold"));
    }
    set req.http.X-Ask = req.http.X-After;
    call ask_apart;
    set req.url = req.url + "&wait=120";
    call restart_apart;
}

# In: a hold of any kind.
sub finish_wait {
    if (resp.http.Grip-Hold == "response") {
        set resp.http.Grip-Timeout = req.http.X-Wait;
        if (req.http.X-Until) {
            set resp.http.Grip-Channel =
                resp.http.Grip-Channel + ", until; prev-id=" + req.http.X-Until;
        }
        # What Pushpin sends in the end has these headers, too, and is no copy.
        unset resp.http.Age;
    }
}

sub synthetic_wait {
    set resp.status = 204;
    set resp.reason = "No Content";
    set resp.http.Grip-Hold = "response";
    set resp.http.Grip-Channel =
        "value:" + regsub(req.http.X-Path, "^/values/", "") + "; filter=require-sub";
}
