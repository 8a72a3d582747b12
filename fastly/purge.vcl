# Fastly's purge API. Every purge is noted in the barrier's ring before it is carried out.

sub purge_api {
    if (req.method != "PURGE"
        && !(req.method == "POST" && req.url ~ "^/(service|purge)/")) {
        return;
    }
    call wire_purge_access;
    if (!req.http.X-Purge-Allowed) {
        return (synth(401, "purge"));
    }
    call keys_to_purge;
    if (!req.http.X-Purge-Keys) {
        return (synth(404, "purge"));
    }
    # A quote or a backslash would break the JSON answer; more than 256 keys Fastly refuses too.
    if (req.http.X-Purge-Keys ~ {"["\\]"} || req.http.X-Purge-Keys ~ "^\s*$"
        || req.http.X-Purge-Keys ~ "^\s*(?:\S+\s+){256}\S") {
        return (synth(400, "purge"));
    }
    call note_purge;
    if (req.http.Fastly-Soft-Purge == "1") {
        xkey.softpurge(req.http.X-Purge-Keys);
    } else {
        xkey.purge(req.http.X-Purge-Keys);
    }
    return (synth(200, "purge"));
}

sub keys_to_purge {
    if (req.method == "PURGE") {
        set req.http.X-Purge-Keys = "url:" + req.http.X-Path;
    } elsif (req.url ~ "^/purge/[^/]+(/|$)") {
        set req.http.X-Purge-Keys = "url:/" + regsub(req.http.X-Path, "^/purge/[^/]+/?", "");
    } elsif (req.url ~ "^/service/[^/]+/purge/[^/?]+$") {
        set req.http.X-Purge-Keys = regsub(req.url, "^/service/[^/]+/purge/", "");
        # The official client escapes the colon of value:{name}.
        set req.http.X-Purge-Keys = regsuball(req.http.X-Purge-Keys, "(?i)%3a", ":");
    } elsif (req.url ~ "^/service/[^/]+/purge$") {
        set req.http.X-Purge-Keys = req.http.Surrogate-Key + "";
    } elsif (req.url ~ "^/service/[^/]+/purge_all$") {
        set req.http.X-Purge-Keys = "*";
    }
}

sub purge_answer {
    if (resp.reason != "purge") {
        return;
    }
    set resp.http.Content-Type = "application/json";
    if (resp.status == 401) {
        set resp.reason = "Unauthorized";
        synthetic("""{"msg":"Provided credentials are missing or invalid"}""");
    } elsif (resp.status == 404) {
        set resp.reason = "Not Found";
        synthetic("""{"msg":"Record not found","detail":"No such purge"}""");
    } elsif (resp.status == 400) {
        set resp.reason = "Bad Request";
        synthetic("""{"msg":"Bad request","detail":"Send 1 to 256 surrogate keys"}""");
    } elsif (req.url ~ "^/service/[^/]+/purge$") {
        set resp.reason = "OK";
        set req.http.X-Purge-Keys = regsuball(req.http.X-Purge-Keys, "\s*(\S+)\s*",
            {""\1":""} + req.http.X-Purge-Id + {"","});
        synthetic("{" + regsub(req.http.X-Purge-Keys, ",$", "") + "}");
    } elsif (req.url ~ "^/service/[^/]+/purge_all$") {
        set resp.reason = "OK";
        synthetic("""{"status":"ok"}""");
    } else {
        set resp.reason = "OK";
        synthetic({"{"status":"ok","id":""} + req.http.X-Purge-Id + """"}""");
    }
    return (deliver);
}
