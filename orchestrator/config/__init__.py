"""What a YAML config may say, validated; no work, no network."""
