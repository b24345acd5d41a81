"""One HTTP transport for both sides: connections, retries, pacing. It knows neither Backstage nor Port."""
