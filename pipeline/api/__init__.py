"""The service over HTTP: `service.make_service` puts it together, `server.serve` runs it."""
