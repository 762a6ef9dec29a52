"""The command line: translates words and answers; decides nothing."""
