# The behaviour of one edge node: what a Fastly service does, on Varnish 7.1.
# Each file holds one noun; README.md tells what each rule is at Fastly.

import blob;
import bodyaccess;
import std;
import str;
import var;
import vsthrottle;
import xkey;

include "./after.vcl";
include "./doubt.vcl";
include "./events.vcl";
include "./representation.vcl";
include "./purge.vcl";
include "./barrier.vcl";
include "./stale.vcl";
include "./wait.vcl";
include "./private.vcl";
include "./try_again.vcl";
include "./holds.vcl";
include "./websocket.vcl";
include "./problem.vcl";

sub vcl_recv {
    call wire_backend;
    if (req.restarts == 0) {
        call forget_what_clients_claim;
        call purge_api;
        # Probes and Prometheus ask the origin itself.
        if (req.url ~ "^/(health|metrics)(/|\?|$)") {
            return (synth(404));
        }
        # No name is that long, and regular expressions give up on what is much longer.
        if (req.url ~ "^.{2048}") {
            return (synth(414));
        }
        call representation;
        call socket_events;
        call event_of_request;
    }
    # What operators see is theirs: never cached, and never shared between two who ask at once.
    if (req.http.X-Path ~ "^/(api|console)(/|$)") {
        return (pass);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        # Never cached, never restarted, never tried twice.
        return (pass);
    }
    call who_asks;
    return (hash);
}

sub forget_what_clients_claim {
    unset req.http.X-After;
    unset req.http.X-As;
    unset req.http.X-Key;
    unset req.http.X-Ask;
    unset req.http.X-Judged;
    unset req.http.X-Hold;
    unset req.http.X-Path;
    unset req.http.X-Plain-Url;
    unset req.http.X-Has-Stale;
    unset req.http.X-Stale-Ok;
    unset req.http.X-Stale;
    unset req.http.X-Wait;
    unset req.http.X-Until;
    unset req.http.X-Purge-Keys;
    unset req.http.X-Purge-Id;
    unset req.http.X-Ticket;
    unset req.http.X-Socket;
    call forget_who_asks;
    set req.http.X-Path = regsub(req.url, "\?.*$", "");
    # `Connection: Grip-Sig` would keep it from the origin, but not from vcl_hash. Set again, it is
    # no hop's own any more.
    if (req.http.Grip-Sig) {
        set req.http.Grip-Sig = req.http.Grip-Sig;
    }
}

# Host is not part of the key: a client could split the cache with it.
sub vcl_hash {
    hash_data(req.url);
    if (req.http.X-Hold) {
        if (req.http.Grip-Sig) {
            hash_data("held");
        } else {
            hash_data("bare");
        }
    }
    return (lookup);
}

sub vcl_hit {
    call stale_or_restart;
}

sub vcl_miss {
    call fall_back_while_sick;
}

sub vcl_backend_fetch {
    if (bereq.retries == 0) {
        var.set_real("began", std.time2real(now, 0.0));
    }
    call stop_at_known_failure;
    call note_ticket;
}

sub vcl_backend_response {
    call keep_socket_open;
    call handle_failure;
    call keep_as_told;
    call barrier;
    # The built-in VCL would judge by Cache-Control, which is for browsers.
    return (deliver);
}

sub vcl_backend_error {
    call handle_unreachable;
    call answer_open_socket;
    call problem_from_backend;
    return (deliver);
}

# What the origin says in Surrogate-Control is for this node alone.
sub keep_as_told {
    # An operator's session is nobody else's: these answers are never cached.
    if (bereq.http.X-Path !~ "^/console/") {
        unset beresp.http.Set-Cookie;
    }
    if (beresp.http.Surrogate-Control ~ "max-age=[0-9]+"
        && beresp.http.Surrogate-Control !~ "(no-store|private)") {
        set beresp.ttl = std.duration(
            regsub(beresp.http.Surrogate-Control, "^.*?max-age=([0-9]+).*$", "\1") + "s", 0s);
        set beresp.grace = std.duration(
            regsub(beresp.http.Surrogate-Control, "^.*?stale-if-error=([0-9]+).*$", "\1") + "s", 0s);
        set beresp.keep = 0s;
    } else {
        # A short hit-for-miss: without it, everybody who asks waits in one queue.
        set beresp.ttl = 1s;
        set beresp.grace = 0s;
        set beresp.uncacheable = true;
    }
    # Every object goes by its own keys, by its path and by the one that purge_all names.
    set beresp.http.xkey = beresp.http.Surrogate-Key + " url:" + bereq.http.X-Path + " *";
}

sub vcl_deliver {
    call ask_for_who_asks;
    call answer_event_for_origin;
    call purged_after_insertion;
    call restart_with_stale;
    call refuse_stale_socket;
    call compare_with_copy;
    call finish_hold;
    call end_connection_after_body;
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
    unset resp.http.Surrogate-Control;
    unset resp.http.Surrogate-Key;
    unset resp.http.Holdfast-Version;
    unset resp.http.xkey;
    unset resp.http.X-Ticket;
    unset resp.http.X-Varnish;
    unset resp.http.Via;
}

# Pushpin 1.36 forwards more bytes than a request of two lengths owns to: what follows on its
# connection must not be read as a request, whose answer the next client would get.
sub end_connection_after_body {
    if (req.http.Grip-Sig && (req.http.Content-Length || req.http.Transfer-Encoding)) {
        set resp.http.Connection = "close";
    }
}

sub vcl_synth {
    call end_connection_after_body;
    call synthetic_hold;
    call nothing_newer;
    call purge_answer;
    call answer_gone;
    call close_socket;
    call restart_after_abandon;
    call problem;
    return (deliver);
}
