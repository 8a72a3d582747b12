vcl 4.1;

# The wiring of one edge node. The stack fills in the placeholders (a doubled dollar is a dollar):
#   edge        the path of edge.vcl        backends    a `backend` for each origin
#   directors   add_backend for each        service     the service id in purge URLs
#   key         what Fastly-Key must be     probe       probe.vcl, or nothing: a function has none

import directors;
import std;

$probe

$backends

sub vcl_init {
    new origins = directors.round_robin();
    # The same without probes.
    new any_origin = directors.round_robin();
$directors
}

sub wire_backend {
    set req.backend_hint = origins.backend();
    # An update needs Kafka only. An origin that is not ready to answer reads, because Redis is
    # away, takes it all the same. Operators are answered most of all while something is wrong.
    if ((req.method == "POST" || req.url ~ "^/(api|console)(/|\?|$$)")
        && !std.healthy(req.backend_hint)) {
        set req.backend_hint = any_origin.backend();
    }
}

# Leaves X-Purge-Allowed when the request may purge this service.
sub wire_purge_access {
    unset req.http.X-Purge-Allowed;
    if (req.http.Fastly-Key == "$key" && (req.url !~ "^/service/" || req.url ~ "^/service/$service/")) {
        set req.http.X-Purge-Allowed = "yes";
    }
}

include "$edge";
