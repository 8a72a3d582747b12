"""The origin as an AWS Lambda function (docs/serverless.md)."""
