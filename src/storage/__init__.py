"""Storage: the Database port and its adapters, and one store per table family. All the SQL is here."""
