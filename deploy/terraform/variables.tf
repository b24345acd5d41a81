variable "chart" {
  description = "The chart: the folder deploy/helm/stageport of a checkout, or an archive of it."
  type        = string
}

variable "namespace" {
  description = "Where it runs."
  type        = string
  default     = "stageport"
}

variable "port_base_url" {
  description = "Port's API; in the US https://api.us.getport.io."
  type        = string
  default     = "https://api.getport.io"
}

variable "identifier" {
  description = "The integration at Port. It decides which entities are ours; keep it."
  type        = string
  default     = "my-backstage-integration"
}

variable "backstage_url" {
  description = "The Backstage backend with its port, as the cluster reaches it."
  type        = string
}

variable "existing_secret" {
  description = "A secret with OCEAN__PORT__CLIENT_ID, OCEAN__PORT__CLIENT_SECRET and OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN; then the variables below stay empty."
  type        = string
  default     = ""
}

variable "port_client_id" {
  description = "Client id of the Port organization."
  type        = string
  default     = ""
  sensitive   = true
}

variable "port_client_secret" {
  description = "Its client secret."
  type        = string
  default     = ""
  sensitive   = true
}

variable "backstage_token" {
  description = "Static token that may read the catalog; empty where none is needed."
  type        = string
  default     = ""
  sensitive   = true
}
