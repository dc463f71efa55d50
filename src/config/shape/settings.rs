//! The tables of `retaind.yaml`.

use super::Presence::{Default, Optional, Required};
use super::policies::{DELETES_MAX, IMAGES_MAX, REPOSITORY_GLOB};
use super::{Format, Key, Kind, Presence, Shape, Variants};

static NAME: Format = Format { name: "name", pattern: Some("^[a-z0-9._-]{1,63}$") };
static URL: Format = Format { name: "URL", pattern: Some("^https?://[^\\s/?#@]+/?$") };
static AUDIENCE: Format = Format { name: "URL", pattern: Some("^https://[^\\s]+$") };
static PATH: Format = Format { name: "path", pattern: None };
static TEXT: Format = Format { name: "text", pattern: None };
/// Series of one policy on one registry then number five thousand at most, which Prometheus still takes without a thought.
const REPOSITORY_METRICS_MAX: u64 = 1000;

static ADDRESS: Format = Format { name: "address and port", pattern: Some("^.+:[0-9]{1,5}$") };

/// `retaind.yaml`.
pub(in crate::config) static SETTINGS: Shape = Shape {
    name: "settings",
    doc: "The settings of the daemon, `retaind.yaml`. Paths in it are relative to its folder.",
    keys: &[
        Key { name: "version", kind: Kind::Version, presence: Required, doc: "The version of the settings language.", example: "1" },
        Key { name: "registries", kind: Kind::Objects(&REGISTRY), presence: Required, doc: "The registries.", example: "[…]" },
        Key {
            name: "policies",
            kind: Kind::TextOrObjects(&PATH, &POLICY_PATH),
            presence: Required,
            doc: "A folder of policy files, or one file; or several of them, each with the repositories and limits that it may use.",
            example: "policies",
        },
        Key {
            name: "state",
            kind: Kind::Object(&STATE),
            presence: Optional,
            doc: "What is remembered between runs.",
            example: "{ dir: /var/lib/retaind }",
        },
        Key {
            name: "server",
            kind: Kind::Object(&SERVER),
            presence: Optional,
            doc: "Health and metrics over HTTP.",
            example: "{ listen: \"0.0.0.0:8080\" }",
        },
        Key { name: "paused", kind: Kind::Bool, presence: Default("false"), doc: "Plan and report, but delete nothing.", example: "true" },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static POLICY_PATH: Shape = Shape {
    name: "policy_path",
    doc: "Policies and what is given to them, so that teams can have files of their own. What a file says beyond that is an error.",
    keys: &[
        Key {
            name: "path",
            kind: Kind::Text(&PATH),
            presence: Required,
            doc: "A folder of policy files, or one file.",
            example: "teams/a.yaml",
        },
        Key {
            name: "repositories",
            kind: Kind::Texts(&REPOSITORY_GLOB),
            presence: Optional,
            doc: "The repositories that its policies may name; every `include` must surely lie within one of these. Left out: all.",
            example: "[\"team-a/**\"]",
        },
        Key {
            name: "limits",
            kind: Kind::Object(&CEILING),
            presence: Optional,
            doc: "The loosest limits that its policies may have; they hold where a policy writes none.",
            example: "{ max_deletes: 100 }",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static CEILING: Shape = Shape {
    name: "ceiling",
    doc: "The loosest limits of a policy file. Zero means zero, never \"unlimited\".",
    keys: &[
        Key {
            name: "max_deletes",
            kind: Kind::Integer { minimum: 0, maximum: DELETES_MAX },
            presence: Optional,
            doc: "No policy may remove more in one run.",
            example: "100",
        },
        Key {
            name: "max_delete_percent",
            kind: Kind::Integer { minimum: 0, maximum: 100 },
            presence: Optional,
            doc: "No policy may remove a larger share.",
            example: "10",
        },
        Key {
            name: "keep_at_least",
            kind: Kind::Integer { minimum: 0, maximum: IMAGES_MAX },
            presence: Optional,
            doc: "No policy may keep fewer of the newest images of a repository.",
            example: "3",
        },
        Key { name: "min_age", kind: Kind::Age, presence: Optional, doc: "No policy may delete what is younger.", example: "48h" },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[&["max_deletes", "max_delete_percent", "keep_at_least", "min_age"]],
    needs: &[],
};

static REGISTRY: Shape = Shape {
    name: "registry",
    doc: "One Azure Container Registry.",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Text(&NAME),
            presence: Required,
            doc: "What policies, metrics and reports call it.",
            example: "contoso",
        },
        Key {
            name: "endpoint",
            kind: Kind::Text(&URL),
            presence: Required,
            doc: "Its login server; `http://` only on loopback.",
            example: "https://contoso.azurecr.io",
        },
        Key {
            name: "auth",
            kind: Kind::Variants(&AUTH),
            presence: Default("{ kind: auto }"),
            doc: "How retaind proves who it is; secrets are paths of files, never values.",
            example: "{ kind: workload_identity }",
        },
        Key {
            name: "apply_auth",
            kind: Kind::Variants(&AUTH),
            presence: Optional,
            doc: "Who deletes and changes locks, if that is another identity than `auth`, which then needs to read only.",
            example: "{ kind: workload_identity, client_id: … }",
        },
        Key {
            name: "authority",
            kind: Kind::Text(&URL),
            presence: Optional,
            doc: "Where Microsoft Entra tokens come from; left out, AZURE_AUTHORITY_HOST or the cloud of the endpoint decides.",
            example: "https://login.microsoftonline.us",
        },
        Key {
            name: "audience",
            kind: Kind::Text(&AUDIENCE),
            presence: Default(crate::config::AUDIENCE),
            doc: "The audience of Microsoft Entra tokens; sovereign clouds have their own.",
            example: "https://containerregistry.azure.net",
        },
        Key {
            name: "ca_file",
            kind: Kind::Text(&PATH),
            presence: Optional,
            doc: "Further certificate authorities, PEM.",
            example: "extra-ca.pem",
        },
        Key {
            name: "throttle",
            kind: Kind::Object(&THROTTLE),
            presence: Optional,
            doc: "Where the request rate starts; it adapts. Left out on loopback: as fast as it goes.",
            example: "{ sku: standard, share: 50% }",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static AUTH: Variants = Variants {
    name: "auth",
    shapes: &[
        &AUTO,
        &WORKLOAD_IDENTITY,
        &MANAGED_IDENTITY,
        &CLIENT_SECRET,
        &CLIENT_CERTIFICATE,
        &AZURE_CLI,
        &AZURE_PIPELINES,
        &BASIC,
        &ANONYMOUS,
    ],
};

/// The key that tells the kinds of authentication apart; its value is the shape's name.
const fn kind(words: &'static [(&'static str, &'static str)]) -> Key {
    Key { name: "kind", kind: Kind::Choice(words), presence: Required, doc: "Which kind.", example: words[0].0 }
}

const fn identity(name: &'static str, presence: Presence, doc: &'static str) -> Key {
    Key { name, kind: Kind::Text(&TEXT), presence, doc, example: "00000000-0000-0000-0000-000000000000" }
}

const fn file(name: &'static str, presence: Presence, doc: &'static str, example: &'static str) -> Key {
    Key { name, kind: Kind::Text(&PATH), presence, doc, example }
}

static AUTO: Shape = Shape {
    name: "auto",
    doc: "Whatever the place where it runs offers, chosen once and logged: workload identity, an application's secret or certificate or a pipeline's connection in the environment, managed identity, the Azure CLI.",
    keys: &[kind(&[("auto", "found out")])],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static WORKLOAD_IDENTITY: Shape = Shape {
    name: "workload_identity",
    doc: "A Kubernetes service account federated with Microsoft Entra; what is left out is taken from the variables that the webhook sets.",
    keys: &[
        kind(&[("workload_identity", "federated service account")]),
        identity("client_id", Optional, "The application."),
        identity("tenant_id", Optional, "The tenant."),
        file("token_file", Optional, "The projected service account token.", "/var/run/secrets/azure/tokens/azure-identity-token"),
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static MANAGED_IDENTITY: Shape = Shape {
    name: "managed_identity",
    doc: "The identity of the virtual machine, node pool or container app.",
    keys: &[
        kind(&[("managed_identity", "identity of the host")]),
        identity("client_id", Optional, "A user-assigned identity; left out, the system-assigned one."),
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static CLIENT_SECRET: Shape = Shape {
    name: "client_secret",
    doc: "A service principal with a secret.",
    keys: &[
        kind(&[("client_secret", "service principal")]),
        identity("tenant_id", Required, "The tenant."),
        identity("client_id", Required, "The application."),
        file("secret_file", Required, "A file with the secret.", "/run/secrets/client-secret"),
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static CLIENT_CERTIFICATE: Shape = Shape {
    name: "client_certificate",
    doc: "A service principal with a certificate. The files are read anew for each sign-in.",
    keys: &[
        kind(&[("client_certificate", "service principal")]),
        identity("tenant_id", Required, "The tenant."),
        identity("client_id", Required, "The application."),
        file("certificate_file", Required, "A file with the certificate, PEM.", "/run/secrets/tls.crt"),
        file(
            "key_file",
            Optional,
            "A file with its RSA key, PEM, without a passphrase; left out, it is in the same file.",
            "/run/secrets/tls.key",
        ),
    ],
    one_of: &[],
    any_of: &[],
    at_most_one: &[],
    needs: &[],
};

static AZURE_CLI: Shape = Shape {
    name: "azure_cli",
    doc: "Whoever is signed in to the Azure CLI: for trying things out on one's own machine.",
    keys: &[kind(&[("azure_cli", "signed in with `az login`")]), identity("tenant_id", Optional, "The tenant, if not the current one.")],
    one_of: &[],
    any_of: &[],
    at_most_one: &[],
    needs: &[],
};

static AZURE_PIPELINES: Shape = Shape {
    name: "azure_pipelines",
    doc: "The service connection of a job in Azure Pipelines; what is left out is taken from the variables that the task AzureCLI sets. SYSTEM_ACCESSTOKEN must be mapped.",
    keys: &[
        kind(&[("azure_pipelines", "service connection")]),
        identity("tenant_id", Optional, "The tenant."),
        identity("client_id", Optional, "The application."),
        identity("service_connection_id", Optional, "The connection."),
    ],
    one_of: &[],
    any_of: &[],
    at_most_one: &[],
    needs: &[],
};

static BASIC: Shape = Shape {
    name: "basic",
    doc: "A scope-map token or the admin user.",
    keys: &[
        kind(&[("basic", "user name and password")]),
        Key {
            name: "username",
            kind: Kind::Text(&TEXT),
            presence: Required,
            doc: "The token's name, or the admin user.",
            example: "retaind",
        },
        file("password_file", Required, "A file with the password.", "/run/secrets/password"),
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static ANONYMOUS: Shape = Shape {
    name: "anonymous",
    doc: "No identity: planning on public registries.",
    keys: &[kind(&[("anonymous", "no identity")])],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static THROTTLE: Shape = Shape {
    name: "throttle",
    doc: "Where the request rate starts.",
    keys: &[
        Key {
            name: "sku",
            kind: Kind::Choice(&[("basic", ""), ("standard", ""), ("premium", "")]),
            presence: Default("standard"),
            doc: "The registry's service tier.",
            example: "premium",
        },
        Key {
            name: "share",
            kind: Kind::Percent,
            presence: Default("50%"),
            doc: "How much of the tier's rate retaind may use, so that pulls are never starved; 1% to 100%.",
            example: "50%",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};

static STATE: Shape = Shape {
    name: "state",
    doc: "What is remembered between runs.",
    keys: &[
        Key {
            name: "dir",
            kind: Kind::Text(&PATH),
            presence: Optional,
            doc: "The folder of the state; left out, everything is forgotten at the end.",
            example: "/var/lib/retaind",
        },
        Key {
            name: "volatile",
            kind: Kind::Bool,
            presence: Default("false"),
            doc: "Says that forgetting is meant, so that policies in `enforce` mode may delete without `dir`.",
            example: "true",
        },
        Key {
            name: "history",
            kind: Kind::Age,
            presence: Default("400d"),
            doc: "How long runs and what they changed are remembered, with the manifests that were deleted; at least two days.",
            example: "90d",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[&["dir", "volatile"]],
    needs: &[],
};

static SERVER: Shape = Shape {
    name: "server",
    doc: "Health and metrics over HTTP.",
    keys: &[
        Key {
            name: "listen",
            kind: Kind::Text(&ADDRESS),
            presence: Default("127.0.0.1:8080"),
            doc: "The address and port to listen on.",
            example: "\"0.0.0.0:8080\"",
        },
        Key {
            name: "repository_metrics",
            kind: Kind::Integer { minimum: 0, maximum: REPOSITORY_METRICS_MAX },
            presence: Default("0"),
            doc: "So many repositories of each policy on each registry have metrics of their own, five series each; all others are counted \
                  together.",
            example: "100",
        },
    ],
    one_of: &[],
    at_most_one: &[],
    any_of: &[],
    needs: &[],
};
