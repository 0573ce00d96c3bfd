# The two roles of the README's job. Each is made in its own account, by whoever owns it;
# one file, so that they can be read side by side.
#
#   terraform apply -var half=source -var external_id=ferry-42 ...       # their account
#   terraform apply -var half=destination -var runner_arn=arn:aws:...    # ours

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.0" }
  }
}

variable "half" {
  description = "Which role to make: source or destination."
  type        = string
  validation {
    condition     = contains(["source", "destination"], var.half)
    error_message = "half is source or destination."
  }
}

variable "runner_arn" {
  description = "Who assumes the role: the role of the instance, or the user, that s3ferryd runs as."
  type        = string
}

variable "external_id" {
  description = "external_id of the source's profile; agreed upon with the other account."
  type        = string
  default     = ""
}

variable "bucket" {
  type    = string
  default = "account-s-bucket"
}

variable "prefix" {
  description = "Keys below which objects are read or written; ends in /."
  type        = string
  default     = "daily/"
}

locals {
  is_source = var.half == "source"
  objects   = "arn:aws:s3:::${var.bucket}/${var.prefix}*"
  # A mirror (delete: true), action: move, trash_prefix: add s3:DeleteObject on its side.
  # archived: restore: add s3:RestoreObject at the source.
  # object_lock: copy: add s3:GetObjectRetention and s3:GetObjectLegalHold at the source,
  # s3:PutObjectRetention and s3:PutObjectLegalHold at the destination.
  read  = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"]
  write = ["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject"]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.runner_arn]
    }
    # Without it anybody whom the other account serves could ask it to read our bucket.
    dynamic "condition" {
      for_each = local.is_source ? [var.external_id] : []
      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

data "aws_iam_policy_document" "objects" {
  statement {
    actions   = local.is_source ? local.read : local.write
    resources = [local.objects]
  }
  # Of the whole bucket: with a condition on s3:prefix, or without this right, S3 says 403 of
  # a key that is missing, not 404.
  statement {
    actions   = ["s3:ListBucket"]
    resources = ["arn:aws:s3:::${var.bucket}"]
  }
  # To find and abort uploads of our own whose answer was lost.
  dynamic "statement" {
    for_each = local.is_source ? [] : [1]
    content {
      actions   = ["s3:ListBucketMultipartUploads"]
      resources = ["arn:aws:s3:::${var.bucket}"]
    }
  }
}

resource "aws_iam_role" "ferry" {
  name                 = local.is_source ? "src-reader" : "dst-writer"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "objects" {
  name   = "objects"
  role   = aws_iam_role.ferry.id
  policy = data.aws_iam_policy_document.objects.json
}

output "role_arn" {
  description = "role_arn of the profile in s3ferry.yaml."
  value       = aws_iam_role.ferry.arn
}
