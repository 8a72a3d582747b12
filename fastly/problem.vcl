# The edge's own errors, as application/problem+json (RFC 9457).

sub problem {
    set resp.http.Content-Type = "application/problem+json";
    set resp.http.Cache-Control = "no-cache";
    if (resp.status == 503) {
        set resp.http.Retry-After = "1";
    }
    synthetic({"{"type":"about:blank","title":""} + resp.reason + {"","status":"} + resp.status
        + ""","detail":"The edge answered this itself."}""");
}

sub problem_from_backend {
    set beresp.http.Content-Type = "application/problem+json";
    set beresp.http.Cache-Control = "no-cache";
    set beresp.http.Retry-After = "1";
    synthetic({"{"type":"about:blank","title":"Service Unavailable","status":503,"}
        + """"detail":"The origin can't be reached; try again shortly."}""");
}
