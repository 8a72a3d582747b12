# A copy that is older than what somebody has seen has missed a purge: the publishers can't reach
# this node, or don't know it yet. It is fetched anew, so that nobody is told that he knows too
# much. But anybody can say that he has seen more, so at most once in 10 s.
sub doubt_copy {
    if (req.http.X-Stale || obj.hits == 0 || req.restarts > 3
        || resp.http.Holdfast-Version == req.http.X-After
        || vsthrottle.is_denied("doubt:" + req.http.X-Path, 1, 10s)) {
        return;
    }
    xkey.softpurge("url:" + req.http.X-Path);
    unset req.http.X-Judged;
    unset req.http.X-Has-Stale;
    set req.grace = 365d;
    return (restart);
}
