"""Real local nodes with sample wallets: what ``balance-tracker demo`` starts."""
