# The edge survives the origin. While the origin is well nobody gets a stale copy; from its first
# failure on, everybody does who would get none otherwise.
#
# Sick is: the probe says so, or a fetch failed less than a second ago. A failure to connect counts
# for all, an error that the origin answers for its own path only. vsthrottle keeps these marks: a
# bucket of one token is empty for a second after it was taken.

sub look_for_sickness {
    var.set_string("sick", "no");
    if (!std.healthy(req.backend_hint)
        || vsthrottle.remaining("sick", 1, 1s) == 0
        || vsthrottle.remaining("sick:" + req.http.X-Path, 1, 1s) == 0) {
        var.set_string("sick", "yes");
    }
}

# The lookup finds a stale copy within its grace. It serves while the origin is sick; otherwise ask
# for a fresh one, knowing that there is something to come back to.
sub stale_or_restart {
    if (obj.ttl > 0s) {
        return (deliver);
    }
    call look_for_sickness;
    if (var.get_string("sick") == "yes" || req.http.X-Stale-Ok) {
        set req.http.X-Stale = "yes";
        return (deliver);
    }
    set req.http.X-Has-Stale = "yes";
    set req.grace = 0s;
    return (restart);
}

# No copy. A viewer who has seen something can still be held, without content; one whose id says
# nothing gets what everybody gets.
sub fall_back_while_sick {
    if (!req.http.X-After || (req.method != "GET" && req.method != "HEAD")) {
        return;
    }
    call look_for_sickness;
    if (var.get_string("sick") != "yes" && !req.http.X-Stale-Ok) {
        return;
    }
    if (req.http.X-After == "invalid") {
        if (req.url != req.http.X-Plain-Url) {
            set req.http.X-Stale-Ok = "yes";
            set req.url = req.http.X-Plain-Url;
            return (restart);
        }
    } elsif ((req.http.X-Hold || req.http.X-Wait ~ "^[1-9]") && req.http.Grip-Sig) {
        return (synth(200, "hold"));
    } elsif (req.http.X-Wait == "0") {
        return (synth(204, "nothing newer"));
    }
}

# Whoever waited for a fetch that failed must not repeat it in turn.
sub stop_at_known_failure {
    if (bereq.http.X-Has-Stale && !bereq.is_bgfetch
        && (vsthrottle.remaining("sick", 1, 1s) == 0
            || vsthrottle.remaining("sick:" + bereq.http.X-Path, 1, 1s) == 0)) {
        return (abandon);
    }
}

sub handle_failure {
    # A guesser's own 429 is nobody else's trouble.
    if (bereq.http.X-Private && beresp.status == 429) {
        return;
    }
    # 429 is what a function answers that is throttled.
    if ((beresp.status < 500 && beresp.status != 429)
        || (bereq.method != "GET" && bereq.method != "HEAD")) {
        return;
    }
    if (vsthrottle.is_denied("sick:" + bereq.http.X-Path, 1, 1s)) {
        # Marked already.
    }
    if (bereq.http.X-Has-Stale || bereq.is_bgfetch) {
        return (abandon);
    }
    set beresp.ttl = 1s;
    set beresp.grace = 0s;
    set beresp.uncacheable = true;
    return (deliver);
}

sub handle_unreachable {
    call try_another_origin;
    # With no healthy origin left the probe has said so already, and ends it when it is over. An
    # update may have been tried without its consent: that must not outlive it.
    if (std.healthy(bereq.backend) && (bereq.method == "GET" || bereq.method == "HEAD")
        && vsthrottle.is_denied("sick", 1, 1s)) {
        # Marked already.
    }
    if (bereq.http.X-Has-Stale || bereq.is_bgfetch) {
        return (abandon);
    }
    # Not ttl 0: that would make everybody who asks wait in one queue.
    set beresp.ttl = 1s;
    set beresp.grace = 0s;
    set beresp.uncacheable = true;
}

# Which of several origins died the probe finds out in a second or two; until then a refused
# connection sends the question to the next. Not after a wait: an old copy at once is better.
sub try_another_origin {
    if (bereq.retries < 2 && (bereq.method == "GET" || bereq.method == "HEAD")
        && std.time2real(now, 0.0) - var.get_real("began") < 0.5 && std.healthy(bereq.backend)) {
        return (retry);
    }
}

# The fetch failed, but an older copy may do: of this very URL, or of the plain representation.
sub restart_with_stale {
    if ((resp.status >= 500 || resp.status == 429) && !req.http.X-Stale-Ok && req.http.X-After
        && req.restarts < 7 && (req.method == "GET" || req.method == "HEAD")) {
        set req.http.X-Stale-Ok = "yes";
        set req.grace = 365d;
        return (restart);
    }
}

sub restart_after_abandon {
    if (resp.status == 503 && req.http.X-Has-Stale && !req.http.X-Stale-Ok && req.restarts < 7) {
        set req.http.X-Stale-Ok = "yes";
        set req.grace = 365d;
        return (restart);
    }
}
