"""The HTTP API: translates requests and answers; decides nothing."""
