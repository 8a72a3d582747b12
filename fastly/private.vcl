# What is private belongs to who asked. No node knows in advance what that is: everybody is looked up
# without saying who he is, and where the copy says `Holdfast-Private`, who has said it is asked for
# apart: passed, so that nothing is kept, and nobody waits for another's answer. A token costs the
# origin nothing where nothing is private.

# Out, at the first turn: X-Authorization and X-Cookie, what the client says of itself.
sub who_asks {
    if (req.restarts == 0) {
        if (req.http.Authorization ~ "(?i)^Bearer ") {
            set req.http.X-Authorization = req.http.Authorization;
        }
        if (req.http.Cookie ~ "(^|;\s*)holdfast_access=") {
            set req.http.X-Cookie = req.http.Cookie;
        }
    }
    # Where a private stream recovers (origin/tickets.py).
    if (req.http.X-Path ~ "^/(values|events)/[^/]+/held/") {
        if (!req.http.Grip-Sig) {
            return (synth(404));
        }
        if (req.restarts == 0) {
            call ask_apart_for_one;
        }
        return (pass);
    }
    if (req.http.X-Private) {
        if (req.http.X-Authorization) {
            set req.http.Authorization = req.http.X-Authorization;
        }
        if (req.http.X-Cookie) {
            set req.http.Cookie = req.http.X-Cookie;
        }
        return (pass);
    }
    # No part of a cached answer depends on who asks.
    unset req.http.Authorization;
    unset req.http.Cookie;
}

sub forget_who_asks {
    unset req.http.X-Authorization;
    unset req.http.X-Cookie;
    unset req.http.X-Private;
}

# It is no copy: what the client has seen the origin compares, and nothing older will do.
sub ask_apart_for_one {
    set req.http.X-Private = "yes";
    set req.http.X-Judged = "yes";
    set req.http.X-Stale-Ok = "yes";
    if (req.http.X-Plain-Url && req.http.X-After && !req.http.X-Socket) {
        set req.http.X-Ask = req.http.X-After;
        call ask_apart;
    }
}

sub ask_for_who_asks {
    if (resp.http.Holdfast-Private && !req.http.X-Private
        && (req.http.X-Authorization || req.http.X-Cookie)) {
        call ask_apart_for_one;
        if (req.http.X-Wait ~ "^[1-9]" && req.http.X-After) {
            set req.url = req.url + "&wait=120";
        }
        return (restart);
    }
    unset resp.http.Holdfast-Private;
}
