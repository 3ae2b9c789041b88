"""What several tests share: servers, doubles and strategies. No test imports another one."""
