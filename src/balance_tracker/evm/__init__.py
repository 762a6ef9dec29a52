"""The EVM family: addresses, calls and their packing, blocks, balances, names."""
