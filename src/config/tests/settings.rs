//! What the settings say that cannot be meant.

use expect_test::expect;

use super::settings;

#[test]
fn settings_hold_together() {
    settings(
        r#"version: 2
registries:
  - { name: Contoso, endpoint: contoso.azurecr.io }
  - { name: a, endpoint: http://a.example, auth: { kind: kerberos } }
  - { name: a, endpoint: https://user:pw@b.example/v2/, auth: { kind: basic, username: u, password: hunter2 } }
  - { name: c, endpoint: https://c.example, auth: auto, throttle: { sku: gold, share: 50 } }
  - { name: d, endpoint: https://C.example, auth: { client_id: x }, audience: https://x/.default }
  - { name: e, endpoint: https://e.example, auth: { kind: managed }, ca: x.pem, throttle: { share: 0% } }
state: { dir: /var/lib/retaind, volatile: true }
server: { listen: 8080 }
paused: yes
"#,
        expect![[r#"
            retaind.yaml:1:1: error: the file has no `policies`
              |
            1 | version: 2
              | ^^^^^^^
              = hint: write `policies: policies` (a folder of policy files, or one file; or
                      several of them, each with the repositories and limits that it may
                      use)

            retaind.yaml:1:10: error: version 2 of the language is not known
              |
            1 | version: 2
              |          ^
              = at version
              = hint: this retaind reads `version: 1`

            retaind.yaml:3:13: error: "Contoso" is not a registry name: lower-case letters,
                digits, '-', '_' and '.', up to 63
              |
            3 |   - { name: Contoso, endpoint: contoso.azurecr.io }
              |             ^^^^^^^
              = at registries[0].name
              = hint: write `name: contoso`

            retaind.yaml:3:32: error: "contoso.azurecr.io" is not the endpoint of a
                registry: the scheme is missing
              |
            3 |   - { name: Contoso, endpoint: contoso.azurecr.io }
              |                                ^^^^^^^^^^^^^^^^^^
              = at registries[0].endpoint
              = hint: write `endpoint: https://contoso.azurecr.io`

            retaind.yaml:4:26: error: "http://a.example" is not the endpoint of a registry:
                http:// is for loopback only
              |
            4 |   - { name: a, endpoint: http://a.example, auth: { kind: kerberos } }
              |                          ^^^^^^^^^^^^^^^^
              = at registries[1].endpoint
              = hint: write `endpoint: https://a.example`

            retaind.yaml:4:58: error: "kerberos" is no kind of authentication
              |
            4 |   - { name: a, endpoint: http://a.example, auth: { kind: kerberos } }
              |                                                          ^^^^^^^^
              = at registries[1].auth.kind
              = hint: write `auto`, `workload_identity`, `managed_identity`,
                      `client_secret`, `client_certificate`, `azure_cli`, `azure_pipelines`,
                      `basic` or `anonymous`

            retaind.yaml:5:13: error: a second registry is called a
              |
            5 |   - { name: a, endpoint: https://*******@b.example/v2/, auth: { kind: b…
              |             ^
              = at registries[2].name
              = hint: names must be unique: policies find a registry by its name

            retaind.yaml:5:26: error: an endpoint does not contain a user name or password
              |
            5 |   - { name: a, endpoint: https://*******@b.example/v2/, auth: { kind: b…
              |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = at registries[2].endpoint
              = hint: leave them out, and write `auth: { kind: basic, … }`

            retaind.yaml:5:91: error: `basic` has no key `password`
              |
            5 | … auth: { kind: basic, username: u, password: ********} }
              |                                     ^^^^^^^^
              = at registries[2].auth.password
              = hint: secrets are never written here; write the path of a file as
                      `password_file`

            retaind.yaml:6:51: error: `auth` needs keys and values, found the text `auto`
              |
            6 | …endpoint: https://c.example, auth: auto, throttle: { sku: gold, share:…
              |                                     ^^^^
              = at registries[3].auth
              = hint: write `auth: { kind: … }` with `auto`, `workload_identity`,
                      `managed_identity`, `client_secret`, `client_certificate`,
                      `azure_cli`, `azure_pipelines`, `basic` or `anonymous`

            retaind.yaml:6:74: error: "gold" is no value of `sku`
              |
            6 | …mple, auth: auto, throttle: { sku: gold, share: 50 } }
              |                                     ^^^^
              = at registries[3].throttle.sku
              = hint: write `basic` or `standard` or `premium`

            retaind.yaml:6:87: error: `share` needs a percentage, found `50`, which YAML
                reads as a number
              |
            6 | …uto, throttle: { sku: gold, share: 50 } }
              |                                     ^^
              = at registries[3].throttle.share
              = hint: write the sign, such as `share: 50%`

            retaind.yaml:7:26: error: c and d are the same registry
              |
            7 |   - { name: d, endpoint: https://C.example, auth: { client_id: x }, aud…
              |                          ^^^^^^^^^^^^^^^^^
              = at registries[4].endpoint
              = hint: write it once; policies of both can name it

            retaind.yaml:7:45: error: `auth` has no `kind`
              |
            7 | …e: d, endpoint: https://C.example, auth: { client_id: x }, audience: h…
              |                                     ^^^^
              = at registries[4].auth
              = hint: write `auto`, `workload_identity`, `managed_identity`,
                      `client_secret`, `client_certificate`, `azure_cli`, `azure_pipelines`,
                      `basic` or `anonymous`

            retaind.yaml:7:79: error: the audience is written without "/.default"
              |
            7 | … auth: { client_id: x }, audience: https://x/.default }
              |                                     ^^^^^^^^^^^^^^^^^^
              = at registries[4].audience
              = hint: write `audience: https://x`

            retaind.yaml:8:59: error: "managed" is no kind of authentication
              |
            8 | …: https://e.example, auth: { kind: managed }, ca: x.pem, throttle: { s…
              |                                     ^^^^^^^
              = at registries[5].auth.kind
              = hint: did you mean `managed_identity`?

            retaind.yaml:8:70: error: `registry` has no key `ca`
              |
            8 | ….example, auth: { kind: managed }, ca: x.pem, throttle: { share: 0% } }
              |                                     ^^
              = at registries[5].ca
              = hint: did you mean `ca_file`?

            retaind.yaml:8:100: error: "0%" is not a share
              |
            8 | …d }, ca: x.pem, throttle: { share: 0% } }
              |                                     ^^
              = at registries[5].throttle.share
              = hint: write a whole number from 1% to 100%, such as 50%

            retaind.yaml:9:43: error: `dir` and `volatile: true` contradict each other
              |
            9 | state: { dir: /var/lib/retaind, volatile: true }
              |                                           ^^^^
              = at state.volatile
              = hint: keep `dir` to remember, or `volatile: true` to forget

            retaind.yaml:10:19: error: `listen` needs a text, found `8080`, which YAML reads
                as a number
               |
            10 | server: { listen: 8080 }
               |                   ^^^^
               = at server.listen
               = hint: write it as in `listen: "0.0.0.0:8080"`

            retaind.yaml:11:9: error: `yes` is not written as true or false
               |
            11 | paused: yes
               |         ^^^
               = at paused
               = hint: write `true`

            21 problems in 1 file
        "#]],
    );
}

#[test]
fn a_login_endpoint_is_an_origin_and_encrypted() {
    for bad in ["http://127.0.0.1:1", "https://login.microsoftonline.com/tenant", "https://me@login.example"] {
        let text = format!(
            "version: 1\nregistries: [{{ name: a, endpoint: \"https://a.example\", authority: \"{bad}\" }}]\npolicies: p\nstate: {{ volatile: true }}\n"
        );
        let problems = crate::config::resolve_texts(("retaind.yaml", &text), &[]).expect_err("no login endpoint");
        assert!(problems.iter().any(|problem| problem.message.contains("is not a login endpoint")), "{bad}: {problems}");
    }
}
