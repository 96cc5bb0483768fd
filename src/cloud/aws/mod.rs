//! AWS Lambda, by AWS's own client.
