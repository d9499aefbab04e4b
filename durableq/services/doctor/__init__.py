"""A check-up of the server and of a namespace: findings as values, decided apart from reading."""
