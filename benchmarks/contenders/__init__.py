"""Who reads the wallets, each in a process of its own that is told what to do by lines of JSON."""
