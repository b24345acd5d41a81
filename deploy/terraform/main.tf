# The chart as a Helm release. The credentials are variables; they end up in Terraform's state, so keep that safe, or name
# a secret of your secret store with existing_secret.

terraform {
  required_version = ">= 1.5"
  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = ">= 2.12, < 4"
    }
  }
}

locals {
  values = {
    port = {
      baseUrl = var.port_base_url
    }
    integration = {
      identifier = var.identifier
      type       = "backstage"
      eventListener = {
        type = "POLLING"
      }
      config = {
        backstageUrl = var.backstage_url
      }
    }
    existingSecret = var.existing_secret
    ledger = {
      persistence = {
        enabled = true
      }
    }
  }
  credentials = {
    port = {
      clientId     = var.port_client_id
      clientSecret = var.port_client_secret
    }
    integration = {
      secrets = var.backstage_token == "" ? {} : { backstageToken = var.backstage_token }
    }
  }
}

resource "helm_release" "stageport" {
  name             = "stageport"
  chart            = var.chart
  namespace        = var.namespace
  create_namespace = true
  wait             = true

  values = compact([
    yamlencode(local.values),
    var.existing_secret == "" ? yamlencode(local.credentials) : "",
  ])
}
