"""What `pushlane doctor` looks at: an installation as it is deployed, and as it stands."""
