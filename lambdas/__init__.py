"""One folder per Lambda function; each handler parses, makes one call and maps the result."""
