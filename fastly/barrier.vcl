# The purge barrier. A fetch that began before a purge and ends after it carries the old value;
# stored, it would be served for the whole TTL. So purges are numbered by tickets and noted in a
# ring of 16 slots, "<ticket> key key ... "; what a fetch brings is held against the slots that were
# written since the fetch began. The versions, which the publisher adds, are kept apart, newest
# first: they tell what was announced last while the origin can't be asked (holds.vcl).

# vmod_var can't count atomically. vsthrottle can: of all who ask for one ticket, it denies all but
# the first; the others try the next number.
sub note_purge {
    var.set_int("last", std.integer(var.global_get("ticket"), 0));
    var.set_int("mine", 0);
    call claim_ticket;
    call claim_ticket;
    call claim_ticket;
    call claim_ticket;
    call claim_ticket;
    call claim_ticket;
    call claim_ticket;
    call claim_ticket;
    # A crowd beyond that shares the newest ticket with its last claimant: noted as purging all.
    if (var.get_int("mine") == 0) {
        var.set_int("mine", var.get_int("last") + 16);
        var.set_string("noted", " * ");
    } else {
        var.set_string("noted", " " + regsuball(req.http.X-Purge-Keys, "\s+", " ") + " ");
    }
    call note_versions;
    var.global_set("slot" + (var.get_int("mine") % 16), var.get_int("mine") + var.get_string("noted"));
    var.global_set("ticket", "" + var.get_int("mine"));
    set req.http.X-Purge-Id = "edge-" + var.get_int("mine");
}

# Room for about a thousand values. Two purges at once may lose one's versions: an older tip, which
# the chain mends.
sub note_versions {
    if (req.http.Holdfast-Versions) {
        var.set_string("versions", " " + regsuball(req.http.Holdfast-Versions, "\s+", " ") + " "
            + var.global_get("versions"));
        if (str.count(var.get_string("versions")) > 32768) {
            var.set_string("versions", str.take(var.get_string("versions"), 32768));
        }
        var.global_set("versions", var.get_string("versions"));
    }
}

sub claim_ticket {
    if (var.get_int("mine") == 0) {
        var.set_int("last", var.get_int("last") + 1);
        if (!vsthrottle.is_denied("ticket:" + var.get_int("last"), 1, 60s)) {
            var.set_int("mine", var.get_int("last"));
        }
    }
}

sub note_ticket {
    set bereq.http.X-Ticket = std.integer(var.global_get("ticket"), 0);
}

sub barrier {
    set beresp.http.X-Ticket = bereq.http.X-Ticket;
    var.set_int("since", std.integer(bereq.http.X-Ticket, 0));
    var.set_string("keys", beresp.http.xkey);
    call look_through_ring;
    if (var.get_string("purged") == "yes") {
        if (bereq.retries < 2 && (bereq.method == "GET" || bereq.method == "HEAD")) {
            return (retry);
        }
        # Purged during every try: good for who waits for it, for nobody else.
        set beresp.ttl = 0s;
        set beresp.grace = 0s;
        set beresp.uncacheable = true;
    }
}

# Between that look and the object's insertion a purge finds neither. Whoever fetched it looks
# once more when it is in: a purge that is noted later finds the object itself.
sub purged_after_insertion {
    if (obj.hits == 0 && !obj.uncacheable && resp.http.X-Ticket && req.restarts < 6) {
        var.set_int("since", std.integer(resp.http.X-Ticket, 0));
        var.set_string("keys", resp.http.xkey);
        call look_through_ring;
        if (var.get_string("purged") == "yes") {
            xkey.softpurge("url:" + req.http.X-Path);
            return (restart);
        }
    }
}

# In: "since", "keys". Out: "purged".
sub look_through_ring {
    var.set_string("purged", "no");
    # The first keys of the object; the last two are its path and `*`.
    var.set_string("key1", regsub(var.get_string("keys"), "^\s*(\S+).*$", " \1 "));
    var.set_string("key2", regsub(var.get_string("keys"), "^\s*\S+\s+(\S+).*$", " \1 "));
    var.set_string("key3", regsub(var.get_string("keys"), "^\s*\S+\s+\S+\s+(\S+).*$", " \1 "));
    var.set_string("path", regsub(var.get_string("keys"), "^.*\s(url:\S+)\s.*$", " \1 "));
    # More purges than slots: what the lost ones named is unknown.
    if (std.integer(var.global_get("ticket"), 0) - var.get_int("since") > 15) {
        var.set_string("purged", "yes");
    }
    var.set_string("slot", var.global_get("slot0")); call look_in_slot;
    var.set_string("slot", var.global_get("slot1")); call look_in_slot;
    var.set_string("slot", var.global_get("slot2")); call look_in_slot;
    var.set_string("slot", var.global_get("slot3")); call look_in_slot;
    var.set_string("slot", var.global_get("slot4")); call look_in_slot;
    var.set_string("slot", var.global_get("slot5")); call look_in_slot;
    var.set_string("slot", var.global_get("slot6")); call look_in_slot;
    var.set_string("slot", var.global_get("slot7")); call look_in_slot;
    var.set_string("slot", var.global_get("slot8")); call look_in_slot;
    var.set_string("slot", var.global_get("slot9")); call look_in_slot;
    var.set_string("slot", var.global_get("slot10")); call look_in_slot;
    var.set_string("slot", var.global_get("slot11")); call look_in_slot;
    var.set_string("slot", var.global_get("slot12")); call look_in_slot;
    var.set_string("slot", var.global_get("slot13")); call look_in_slot;
    var.set_string("slot", var.global_get("slot14")); call look_in_slot;
    var.set_string("slot", var.global_get("slot15")); call look_in_slot;
}

sub look_in_slot {
    if (std.integer(regsub(var.get_string("slot"), " .*$", ""), 0) > var.get_int("since")) {
        if (std.strstr(var.get_string("slot"), var.get_string("key1"))
            || std.strstr(var.get_string("slot"), var.get_string("key2"))
            || std.strstr(var.get_string("slot"), var.get_string("key3"))
            || std.strstr(var.get_string("slot"), var.get_string("path"))
            || std.strstr(var.get_string("slot"), " * ")) {
            var.set_string("purged", "yes");
        }
    }
}

# In: "keys". Out: "tip", the newest version of the first key that was announced, "" = unknown.
sub look_for_tip {
    var.set_string("tip", "");
    var.set_string("key=", regsub(var.get_string("keys"), "^\s*(\S+).*$", " \1="));
    if (std.strstr(var.global_get("versions"), var.get_string("key="))) {
        var.set_string("tip", regsub(
            std.strstr(var.global_get("versions"), var.get_string("key=")),
            "^[^=]*=([0-9]+).*$", "\1"));
    }
}
