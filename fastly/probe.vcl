# How an origin is found sick before anybody has to ask it.
probe ready {
    .url = "/health/ready";
    .interval = 1s;
    .timeout = 1s;
    # Well again with the first good probe; sick with the second bad one. A failed fetch counts
    # at once, for a second (stale.vcl).
    .window = 2;
    .threshold = 1;
    .initial = 1;
}
