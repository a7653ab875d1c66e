"""What the stages use from outside: settings, lake, warehouse, language model, encoders, media."""
