"""The Solana family: addresses, account layouts, UI amounts and the reader."""
