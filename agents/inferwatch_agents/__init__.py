"""What a service or a host installs to be monitored."""
