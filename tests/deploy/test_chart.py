"""The Helm chart over a matrix of values, on Helm 3 and 4: valid, safe by default, and what is wrong is refused."""

import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.contract.command import Result, stageport
from tests.contract.harness import IDENTIFIER, SERVICE, SERVICES, TOKEN, World, component, serve_world
from tests.deploy.chart import CHART, NEEDED, Document, helm_template, merged, render
from tests.shell_blocks import ROOT

ALERTS = CHART / "files" / "alerts.yaml"
CREDENTIALS = {"OCEAN__PORT__CLIENT_ID": "an-id", "OCEAN__PORT__CLIENT_SECRET": "a-secret"}

# The oldest version that Chart.yaml allows, and the newest that the validator knows.
KUBERNETES = ("1.25", "1.37")

# A values file as people have it for Port's own chart, everything in it that its documentation names.
PORTS: Document = {
    "initializePortResources": True,
    "sendRawDataExamples": True,
    "scheduledResyncInterval": 120,
    "createPortResourcesOrigin": "Port",
    "allowEnvironmentVariablesJqAccess": True,
    "clientTimeout": 120,
    "lakehouseEnabled": True,
    "port": {"baseUrl": "https://api.us.getport.io"},
    "integration": {
        "identifier": "my-ocean-backstage-integration",
        "type": "backstage",
        "version": "0.2.57",
        "eventListener": {"type": "KAFKA", "brokers": "b-1.example.com:9196,b-2.example.com:9196"},
        "config": {"backstageUrl": "https://backstage.example.com"},
        "secrets": {"backstageToken": "a-token"},
    },
    "liveEvents": {"baseUrl": "https://stageport.example.com"},
    "workload": {"kind": "Deployment", "deployment": {"rolloutStrategy": "Recreate"}},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "podSecurityContext": {"runAsUser": 1001, "runAsGroup": 1001, "fsGroup": 1001},
    "podServiceAccount": {"name": None},
    "imagePullPolicy": "Always",
    "resources": {"requests": {"memory": "512Mi", "cpu": "200m"}, "limits": {"memory": "1024Mi", "cpu": "500m"}},
    "livenessProbe": {"enabled": True, "initialDelaySeconds": 30, "periodSeconds": 10},
    "readinessProbe": {"enabled": True, "failureThreshold": 3, "successThreshold": 1},
    "selfSignedCertificate": {
        "enabled": True,
        "certificate": "-----BEGIN CERTIFICATE-----\n",
        "secret": {"key": "crt"},
    },
    "ingress": {"enabled": True, "host": "stageport.example.com", "tls": [{"secretName": "tls"}]},
}
SCALABLE: Document = {
    "workload": {"kind": "CronJob", "cron": {"resyncTimeoutMinutes": 60, "kubectlImage": "kubectl"}},
    "scheduledResyncInterval": "'*/60 * * * *'",
    "liveEvents": {"worker": {"enabled": True}},
}

EVERYTHING: Document = {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True},
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True, "ingressFrom": [{"namespaceSelector": {}}]},
    "ingress": {"enabled": True, "className": "nginx", "host": "stageport.example.com"},
    "ledger": {"persistence": {"enabled": True, "storageClass": "fast"}},
    "podServiceAccount": {"create": True},
    "podAnnotations": {"a": "b"},
    "extraLabels": {"team": "platform"},
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"]},
    "imagePullSecrets": [{"name": "pull"}],
    "settings": {"deltaInterval": 5, "logLevel": "DEBUG", "concurrency": 8},
    "liveEvents": {
        "baseUrl": "https://stageport.example.com",
        "secret": "whsec_c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz",
        "bus": True,
    },
    "integration": {"extraConfig": {"APPLICATION__LOG_LEVEL": "INFO", "pageSize": 100}},
}
CRON: Document = {"workload": {"kind": "CronJob"}}

MATRIX: dict[str, Document] = {
    "as little as possible": {},
    "everything": EVERYTHING,
    "a cron job": CRON,
    "a cron job with everything": {**EVERYTHING, **CRON, "scheduledResyncInterval": 30},
    "a cron job by minutes": {**CRON, "scheduledResyncInterval": 360},
    "a cron job by an expression": {
        "workload": {"kind": "CronJob", "cron": {"suspend": True, "resyncTimeoutMinutes": 60}},
        "scheduledResyncInterval": "15 */2 * * *",
    },
    "an existing secret": {"existingSecret": "credentials", "port": {"clientId": "", "clientSecret": ""}},
    "several secrets": {"secret": {"create": False, "name": ["credentials", "more"]}},
    "an existing claim": {"ledger": {"persistence": {"enabled": True, "existingClaim": "mine"}}},
    "an existing certificate": {
        "selfSignedCertificate": {"enabled": True, "secret": {"useExistingSecret": True, "name": "ca", "key": "ca.crt"}}
    },
    "openshift": {"podSecurityContext": {"fsGroup": None}},
    "another image": {"imageRegistry": "registry.example.com/team/", "image": "mirror/stageport@sha256:" + "0" * 64},
    "no service": {
        "service": {"enabled": False},
        "livenessProbe": {"enabled": False},
        "readinessProbe": {"enabled": False},
    },
    "Port's chart": PORTS,
    "Port's chart, scalable": merged(PORTS, SCALABLE),
    "nulls": {"scheduledResyncInterval": None, "extraEnv": None, "podAnnotations": None, "affinity": None},
}


def custom(kind: str, spec: Document) -> Document:
    metadata = {"type": "object", "required": ["name", "labels"]}
    properties = {"apiVersion": {"const": "monitoring.coreos.com/v1"}, "kind": {"const": kind}, "metadata": metadata}
    return {"type": "object", "additionalProperties": False, "properties": {**properties, "spec": spec}}


# The two kinds of the Prometheus operator, which are no part of Kubernetes; only the fields that the chart uses.
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
RULE: Document = {
    "type": "object",
    "additionalProperties": False,
    "required": ["alert", "expr"],
    "properties": {
        **{name: {"type": "string"} for name in ("alert", "expr", "for")},
        **dict.fromkeys(("labels", "annotations"), TEXTS),
    },
}
GROUP: Document = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": RULE, "minItems": 1}},
}
ENDPOINT: Document = {
    "type": "object",
    "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in ("port", "path", "interval", "scrapeTimeout")},
}
CUSTOM = {
    "PrometheusRule": custom(
        "PrometheusRule",
        {"type": "object", "additionalProperties": False, "properties": {"groups": {"type": "array", "items": GROUP}}},
    ),
    "ServiceMonitor": custom(
        "ServiceMonitor",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["selector", "endpoints"],
            "properties": {
                "selector": {"type": "object", "properties": {"matchLabels": TEXTS}, "additionalProperties": False},
                "endpoints": {"type": "array", "items": ENDPOINT, "minItems": 1},
            },
        },
    ),
}


@pytest.fixture(params=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest, tools: Path) -> Path:
    return tools / str(request.param)


def validate(documents: list[Document], tools: Path, folder: Path) -> None:
    """Hold native kinds against Kubernetes' own schemas, strictly, and the operator's against ours."""
    native = [one for one in documents if one["kind"] not in CUSTOM]
    for one in documents:
        if one["kind"] in CUSTOM:
            jsonschema.validate(one, CUSTOM[one["kind"]])
    file = folder / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(native), encoding="utf-8")
    for version in KUBERNETES:
        command = [tools / "kubernetes-validate", "--strict", "--quiet", "--kubernetes-version", version, file]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


# What is rendered


@pytest.mark.parametrize("name", MATRIX)
def test_it_renders_and_is_safe(name: str, helm: Path, tmp_path: Path) -> None:
    values = merged(NEEDED, MATRIX[name])
    file = tmp_path / "linted.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    lint = subprocess.run(
        [helm, "lint", "--strict", CHART, "--values", file], capture_output=True, text=True, check=False
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr
    rendered = render(helm, values, tmp_path)
    for workload, pod in rendered.pods().items():
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, workload
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts["tmp"] == "/tmp/ocean"
        ledger = next(one["value"] for one in container["env"] if one["name"] == "STAGEPORT_LEDGER")
        assert ledger == f"{mounts['ledger']}/ledger.sqlite3"


def test_what_is_rendered_is_valid_and_the_same_on_both_versions_of_helm(tools: Path, tmp_path: Path) -> None:
    documents: list[Document] = []
    for values in MATRIX.values():
        three, four = (render(tools / name, merged(NEEDED, values), tmp_path) for name in ("helm3", "helm4"))
        assert sorted(map(str, three.documents)) == sorted(map(str, four.documents))
        documents += four.documents
    validate(documents, tools, tmp_path)


def test_the_validation_refuses_a_field_that_is_wrong(tools: Path, tmp_path: Path) -> None:
    deployment = render(tools / "helm4", NEEDED, tmp_path).one("Deployment")
    deployment["spec"]["template"]["spec"]["nodeSelctor"] = {}
    with pytest.raises(AssertionError, match="nodeSelctor"):
        validate([deployment], tools, tmp_path)


def test_everything_renders_every_kind(tools: Path, tmp_path: Path) -> None:
    rendered = render(tools / "helm4", merged(NEEDED, EVERYTHING), tmp_path)
    assert rendered.kinds() == [
        "ConfigMap",
        "Deployment",
        "Ingress",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Pod",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    ]
    assert rendered.one("Deployment")["spec"]["replicas"] == 1
    assert rendered.one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert rendered.one("PrometheusRule")["spec"] == yaml.safe_load(ALERTS.read_text(encoding="utf-8"))


def test_selectors_find_what_they_are_for(tools: Path, tmp_path: Path) -> None:
    rendered = render(tools / "helm4", merged(NEEDED, EVERYTHING), tmp_path)
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for selector in (
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels
    monitored = rendered.one("ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= rendered.one("Service")["metadata"]["labels"].items()


def test_a_change_of_configuration_or_secret_starts_the_pod_anew(tools: Path, tmp_path: Path) -> None:
    def sums(values: Document) -> Document:
        rendered = render(tools / "helm4", merged(NEEDED, values), tmp_path)
        annotations: Document = rendered.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
        return annotations

    before = sums({})
    assert before == sums({})
    assert before["checksum/config"] != sums({"clientTimeout": 5})["checksum/config"]
    assert before["checksum/secret"] != sums({"port": {"clientSecret": "x"}})["checksum/secret"]


@pytest.mark.parametrize(
    ("given", "schedule"),
    [
        (None, "0 * * * *"),
        (5, "*/5 * * * *"),
        (60, "0 * * * *"),
        (120, "0 */2 * * *"),
        (1440, "0 0 * * *"),
        ("30", "*/30 * * * *"),
        ("0 6 * * *", "0 6 * * *"),
        ("'*/60 * * * *'", "*/60 * * * *"),
    ],
)
def test_the_schedule_of_a_cron_job(given: object, schedule: str, tools: Path, tmp_path: Path) -> None:
    rendered = render(tools / "helm4", merged(NEEDED, CRON, {"scheduledResyncInterval": given}), tmp_path)
    assert rendered.one("CronJob")["spec"]["schedule"] == schedule


@pytest.mark.parametrize(
    ("given", "interval"),
    [(60, "60"), ("90", "90"), ("0 6 * * 1-5", "0 6 * * 1-5"), ("'*/60 * * * *'", "*/60 * * * *")],
)
def test_the_interval_of_a_deployment(given: object, interval: str, tools: Path, tmp_path: Path) -> None:
    rendered = render(tools / "helm4", merged(NEEDED, {"scheduledResyncInterval": given}), tmp_path)
    assert rendered.one("ConfigMap")["data"]["OCEAN__SCHEDULED_RESYNC_INTERVAL"] == interval


def test_secrets_stay_out_of_everything_but_secrets(tools: Path, tmp_path: Path) -> None:
    secret = {"integration": {"secrets": {"backstageToken": "a-very-secret-token"}}}
    rendered = render(tools / "helm4", merged(NEEDED, EVERYTHING, secret), tmp_path)
    others = [one for one in rendered.documents if one["kind"] != "Secret"]
    assert "a-very-secret-token" not in str(others)
    assert "a-secret" not in str(others)


# What is refused


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"portt": {}}, "portt"),
        ({"port": {"clientID": "x"}}, "clientID"),
        ({"port": {"baseUrl": "api.getport.io"}}, "baseUrl"),
        ({"integration": {"identifer": "x"}}, "identifer"),
        ({"integration": {"identifier": "with space"}}, "identifier"),
        ({"integration": {"type": "gitlab"}}, "backstage"),
        ({"integration": {"eventListener": {"type": "POLL"}}}, "POLLING"),
        ({"integration": {"config": {"backstageUrl": "backstage:7007"}}}, "backstageUrl"),
        ({"integration": {"config": {"backstageUrl": ""}}}, "integration.config.backstageUrl is missing"),
        ({"integration": {"eventListener": {"type": "ONCE"}}}, "set workload.kind=CronJob"),
        ({"port": {"clientId": ""}}, "port.clientId is missing"),
        ({"secret": {"create": False}}, "Port's credentials are missing"),
        ({"initializePortResources": "yes"}, "initializePortResources"),
        ({"scheduledResyncInterval": 0}, "scheduledResyncInterval"),
        ({**CRON, "scheduledResyncInterval": 7}, "cannot run every 7 minutes"),
        ({"workload": {"kind": "StatefulSet"}}, "CronJob"),
        ({"workload": {"deployment": {"rolloutStrategy": "RollingUpdate"}}}, "Recreate"),
        ({"service": {"port": 80}}, "service"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"selfSignedCertificate": {"enabled": True}}, "selfSignedCertificate.certificate is missing"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_with_its_name(values: Document, words: str, helm: Path, tmp_path: Path) -> None:
    result = helm_template(helm, merged(NEEDED, values), tmp_path)
    assert result.returncode != 0
    assert words in result.stderr


# The environment


def aimed_at(world: World, values: Document) -> Document:
    """Point values at the stand-ins; ours are what a person would write there."""
    options = world.state.options
    return merged(
        NEEDED,
        values,
        {
            "port": {
                "baseUrl": world.port.url,
                "clientId": options.client_id,
                "clientSecret": options.client_secret,
            },
            "integration": {
                "identifier": IDENTIFIER,
                "config": {"backstageUrl": world.backstage.url},
                "secrets": {"backstageToken": TOKEN},
            },
        },
    )


def secrets_of(world: World) -> dict[str, dict[str, str]]:
    """Return the secrets that exist already, as people make them for either chart."""
    options = world.state.options
    credentials = {
        "OCEAN__PORT__CLIENT_ID": options.client_id,
        "OCEAN__PORT__CLIENT_SECRET": options.client_secret,
        "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN": TOKEN,
    }
    return {"credentials": credentials, "more": {}}


async def check(world: World, environment: dict[str, str]) -> Result:
    """Run the doctor with this environment alone; where the stand-ins are is known, so no proxy is needed."""
    kept = {name: value for name, value in environment.items() if name != "HTTPS_PROXY"}
    names = ("BACKSTAGE_URL", "BACKSTAGE_TOKEN", "PORT_BASE_URL", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET")
    own = ("STAGEPORT_INTEGRATION_IDENTIFIER", "STAGEPORT_WORKERS", "STAGEPORT_UNREACHABLE_TIMEOUT")
    return await stageport(world, "check", "--output", "json", without=(*names, *own), **kept)


async def accepts(world: World, environment: dict[str, str]) -> None:
    """Hold that the doctor finds nothing wrong, and no name that only looks like one of ours."""
    result = await check(world, environment)
    assert result.out, result.err
    findings = [one for one in result.json["findings"] if one["level"] != "ok"]
    assert result.code == 0, findings
    assert not [one for one in findings if "did you mean" in one["message"].lower()]
    rows = {row["name"]: row for row in result.json["settings"]}
    assert rows["integration.identifier"]["value"] == IDENTIFIER
    assert rows["port.base_url"]["value"] == world.port.url


async def test_every_workload_gets_an_environment_that_the_doctor_accepts(tools: Path, tmp_path: Path) -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        seen: set[str] = set()
        for values in MATRIX.values():
            rendered = render(tools / "helm4", aimed_at(world, values), tmp_path)
            for pod in rendered.pods().values():
                environment = rendered.environment(pod, secrets=secrets_of(world))
                if str(sorted(environment.items())) not in seen:
                    seen.add(str(sorted(environment.items())))
                    await accepts(world, environment)
        assert len(seen) > 5


# What Port's own chart gives its pods, by its documentation; the deployment, and the job of a cron job.
PORTS_ENVIRONMENT = {
    "OCEAN__INITIALIZE_PORT_RESOURCES": "true",
    "OCEAN__CREATE_PORT_RESOURCES_ORIGIN": "Port",
    "OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS": "true",
    "OCEAN__CLIENT_TIMEOUT": "120",
    "OCEAN__SEND_RAW_DATA_EXAMPLES": "true",
    "OCEAN__INTEGRATION__IDENTIFIER": IDENTIFIER,
    "OCEAN__PROCESS_EXECUTION_MODE": "single_process",
    "OCEAN__LAKEHOUSE_ENABLED": "true",
    "OCEAN__PROCESSING_MODE": "dsp",
    "OCEAN__STREAMING__ENABLED": "false",
    "OCEAN__ACTIONS_PROCESSOR__ENABLED": "false",
    "OCEAN__BASE_URL": "https://stageport.example.com",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
}


@pytest.mark.parametrize(
    "more",
    [
        {"OCEAN__EVENT_LISTENER": '{"type":"POLLING"}', "OCEAN__SCHEDULED_RESYNC_INTERVAL": "120"},
        {"OCEAN__EVENT_LISTENER": '{"brokers":"b-1.example.com:9196,b-2.example.com:9196","type":"KAFKA"}'},
        {"OCEAN__EVENT_LISTENER": '{"brokers":"b-1.example.com:9196","type":"ONCE"}'},
        {"OCEAN__EVENT_LISTENER": '{"type":"WEBHOOKS_ONLY"}', "OCEAN__INTEGRATION__TYPE": "backstage"},
    ],
    ids=["polling", "kafka", "cron job", "live events worker"],
)
async def test_the_environment_of_ports_own_chart_is_accepted(more: dict[str, str]) -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        given = {
            "OCEAN__PORT__BASE_URL": world.port.url,
            "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL": world.backstage.url,
            **secrets_of(world)["credentials"],
        }
        await accepts(world, {**PORTS_ENVIRONMENT, **given, **more})


# What belongs together


def test_the_notes_are_written_for_every_set_of_values(tools: Path, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    for values in MATRIX.values():
        file.write_text(yaml.safe_dump(merged(NEEDED, values)), encoding="utf-8")
        command = [tools / "helm4", "install", "release", CHART, "--dry-run=client", "--values", file]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        _, _, notes = result.stdout.partition("NOTES:")
        assert "helm test release" in notes
        assert ("create job" in notes) is ("kind: CronJob" in result.stdout)
        assert "a-secret" not in notes


def test_the_first_pass_is_a_job_that_helm_does_not_wait_for(tools: Path, tmp_path: Path) -> None:
    rendered = render(tools / "helm4", merged(NEEDED, CRON), tmp_path)
    job = rendered.one("Job")
    assert job["metadata"]["name"].endswith("-first-1"), "a Job cannot be changed: each revision has its own"
    assert not [name for name in job["metadata"]["annotations"] if name.startswith("helm.sh/")]
    assert job["spec"]["ttlSecondsAfterFinished"] > 0


def test_the_path_prefix_is_the_services(tools: Path, tmp_path: Path) -> None:
    rendered = render(tools / "helm4", merged(NEEDED, {"pathPrefix": "/tools"}), tmp_path)
    assert rendered.one("ConfigMap")["data"]["OCEAN__PATH_PREFIX"] == "/tools"


def test_the_plain_manifests_are_rendered_from_the_chart(tools: Path, tmp_path: Path) -> None:
    folder = ROOT / "deploy" / "manifests"
    script = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import render; print(render.render(sys.argv[1]), end='')"
    )
    command = [tools / "python", "-B", "-c", script, tools / "helm4"]
    fresh = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    committed = (folder / "stageport.yaml").read_text(encoding="utf-8")
    assert committed == fresh, "run `make manifests`"
    documents = [*yaml.safe_load_all(committed), yaml.safe_load((folder / "namespace.yaml").read_text())]
    validate([one for one in documents if one], tools, tmp_path)
