# What a client has seen, held against the copy of the plain representation. Any number may be an
# id, and each would be a cache key of its own: so whoever has seen something is looked up like
# everybody else, and only who turns out to have the newest version, or one that is newer still, is
# asked for apart. That makes two more keys per version, however many clients come back.

# A recovery says it in Grip-Last, once for each channel; a browser in Last-Event-ID.
sub after_of_request {
    std.collect(req.http.Grip-Last);
    if (req.http.Grip-Last) {
        call after_of_recovery;
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

# Whoever still stands where a stale hold claimed to (holds.vcl) has seen only what that delivered.
sub after_of_recovery {
    if (req.http.Grip-Last ~ "((?:value|private):[^;,]*|updates);\s*last-id=[0-9]") {
        set req.http.X-After = regsub(req.http.Grip-Last,
            "^.*?(?:(?:value|private):[^;,]*|updates);\s*last-id=([0-9]+).*$", "\1");
    }
    if (req.http.Grip-Last ~ "stale;\s*last-id=[0-9]+-[0-9]"
        && (!req.http.X-After || req.http.X-After
            == regsub(req.http.Grip-Last, "^.*stale;\s*last-id=[0-9]+-([0-9]+).*$", "\1"))) {
        set req.http.X-After = regsub(
            req.http.Grip-Last, "^.*stale;\s*last-id=([0-9]+)-.*$", "\1");
    }
}

sub ask_plainly {
    set req.http.X-Plain-Url = req.url;
    # A snapshot is the same whatever a client can't say.
    if (req.http.X-After == "invalid" && req.http.X-Hold) {
        set req.http.X-Ask = "invalid";
        call ask_apart;
    }
}

# The representation for who has seen X-Ask.
sub ask_apart {
    if (req.http.X-Plain-Url ~ "\?") {
        set req.url = req.http.X-Plain-Url + "&after=" + req.http.X-Ask;
    } else {
        set req.url = req.http.X-Plain-Url + "?after=" + req.http.X-Ask;
    }
}

sub compare_with_copy {
    if (req.http.X-After !~ "^[0-9]+$" || req.http.X-Judged || resp.status != 200
        || !resp.http.Holdfast-Version) {
        return;
    }
    set req.http.X-Judged = "yes";
    # Integers have 15 digits in VCL, versions 13 until the year 33658; a longer id is unknown.
    if (std.integer(resp.http.Holdfast-Version, 0)
        > std.integer(req.http.X-After, 999999999999999)) {
        return;
    }
    call doubt_copy;
    if (!req.http.X-Hold) {
        call compare_snapshot;
        return;
    }
    set req.http.X-Key = resp.http.Surrogate-Key;
    if (req.http.X-Stale) {
        # The origin is away, and nobody must be shown again what he knows already.
        return (synth(200, "hold"));
    }
    set req.http.X-Ask = "unknown";
    if (resp.http.Holdfast-Version == req.http.X-After) {
        set req.http.X-Ask = req.http.X-After;
    }
    call ask_apart;
    call restart_apart;
}

sub restart_apart {
    unset req.http.X-Has-Stale;
    set req.grace = 365d;
    return (restart);
}

sub nothing_newer {
    if (resp.reason != "nothing newer") {
        return;
    }
    set resp.reason = "No Content";
    set resp.http.Cache-Control = "no-cache";
    set resp.http.Access-Control-Allow-Origin = "*";
    set resp.http.Vary = "Accept";
    set resp.http.X-Cache = "MISS";
    return (deliver);
}
