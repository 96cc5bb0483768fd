"""Drives an Azure Resource Manager endpoint with Azure's own Python client, and checks what comes back.

usage: python azure_client.py ENDPOINT CA_FILE

ENDPOINT is an https address, CA_FILE the certificate to trust. Needs azure-mgmt-web, azure-mgmt-resource and
azure-identity. Exits non-zero at the first thing that is not as it should be.
"""

import base64
import json
import ssl
import sys
import time
import urllib.error
import urllib.request

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.web import WebSiteManagementClient
from azure.mgmt.web import models

from azure_package import package

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-0000000000aa"
GROUP, PLAN, SITE, SLOT = "peer", "peer-plan", "peer-app", "green"
PLACE = "westeurope"


def main():
    endpoint, ca_file = sys.argv[1:]
    trust = ssl.create_default_context(cafile=ca_file)
    options = {"connection_verify": ca_file, "retry_total": 0, "polling_interval": 0.2}
    credential = ClientSecretCredential(
        TENANT, "00000000-0000-0000-0000-0000000000cc", "secret",
        authority=endpoint, disable_instance_discovery=True, connection_verify=ca_file,
    )
    scopes = [f"{endpoint}/.default"]
    resources = ResourceManagementClient(
        credential, SUBSCRIPTION, base_url=endpoint, credential_scopes=scopes, **options)
    web = WebSiteManagementClient(
        credential, SUBSCRIPTION, base_url=endpoint, credential_scopes=scopes, **options)

    make(resources, web)
    configure(web)
    deploy(web, trust)
    swap(web, trust)
    keys_and_functions(web)
    refusals(web)
    clean(resources, web)
    print("all as it should be")


def make(resources, web):
    group = resources.resource_groups.create_or_update(GROUP, {"location": PLACE, "tags": {"verdigris-owner": "peer"}})
    assert group.properties.provisioning_state == "Succeeded", group
    assert resources.resource_groups.check_existence(GROUP)
    plan = web.app_service_plans.begin_create_or_update(
        GROUP, PLAN, models.AppServicePlan(location=PLACE, sku=models.SkuDescription(name="EP1"))).result()
    assert plan.sku.tier == "ElasticPremium", plan.sku
    body = models.Site(
        location=PLACE, kind="functionapp,linux", server_farm_id=plan.id, tags={"verdigris-owner": "peer"},
        site_config=models.SiteConfig(app_settings=[models.NameValuePair(name="FIRST", value="1")]))
    site = web.web_apps.begin_create_or_update(GROUP, SITE, body).result()
    assert (site.name, site.state) == (SITE, "Running"), site
    assert site.tags == {"verdigris-owner": "peer"}
    body = models.Site(location=PLACE, server_farm_id=plan.id)
    slot = web.web_apps.begin_create_or_update_slot(GROUP, SITE, SLOT, body).result()
    assert slot.name == f"{SITE}/{SLOT}", slot
    assert [one.name for one in web.web_apps.list_slots(GROUP, SITE)] == [slot.name]
    others = [f"{SITE}-{number}" for number in range(3)]
    for other in others:
        web.web_apps.begin_create_or_update(GROUP, other, models.Site(location=PLACE, server_farm_id=plan.id)).result()
    # A page holds two of them.
    for listed in (web.web_apps.list(), web.web_apps.list_by_resource_group(GROUP)):
        assert sorted(one.name for one in listed) == [SITE, *others]
    for other in others:
        web.web_apps.delete(GROUP, other)
    print(f"made {GROUP}/{PLAN}/{SITE} with slot {SLOT}")


def configure(web):
    assert web.web_apps.list_application_settings(GROUP, SITE).properties == {"FIRST": "1"}
    names = models.SlotConfigNamesResource(app_setting_names=["WHERE"])
    assert web.web_apps.update_slot_configuration_names(GROUP, SITE, names).app_setting_names == ["WHERE"]
    settings = models.StringDictionary(properties={"WHERE": "blue", "WHAT": "old"})
    assert web.web_apps.update_application_settings(GROUP, SITE, settings).properties == settings.properties
    settings = models.StringDictionary(properties={"WHERE": "green", "WHAT": "new"})
    web.web_apps.update_application_settings_slot(GROUP, SITE, SLOT, settings)
    told = web.web_apps.list_application_settings_slot(GROUP, SITE, SLOT).properties
    assert told == {"WHERE": "green", "WHAT": "new"}, told
    assert web.web_apps.get_configuration_slot(GROUP, SITE, SLOT).number_of_workers == 1
    print("settings replaced, WHERE is sticky")


def deploy(web, trust):
    user = web.web_apps.begin_list_publishing_credentials_slot(GROUP, SITE, SLOT).result()
    slot = web.web_apps.get_slot(GROUP, SITE, SLOT)
    scm = next(one.name for one in slot.host_name_ssl_states if one.host_type == "Repository")
    basic = base64.b64encode(f"{user.publishing_user_name}:{user.publishing_password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/octet-stream"}
    status, told, body = ask(trust, f"https://{scm}/api/zipdeploy?isAsync=true", headers, package("where", "WHERE", "WHAT"))
    assert status == 202, (status, body)
    for _ in range(200):
        _, _, body = ask(trust, told["location"], headers)
        deployment = json.loads(body)
        if deployment["complete"]:
            break
        time.sleep(0.05)
    assert deployment["status"] == 4, deployment
    print(f"deployed to {SLOT}: {deployment['id']}")


def swap(web, trust):
    front = web.web_apps.get_slot(GROUP, SITE, SLOT).default_host_name
    status, _, body = ask(trust, f"https://{front}/where", {})
    assert (status, body) == (200, b"green new"), (status, body)
    both = models.CsmSlotEntity(target_slot="production", preserve_vnet=True)
    web.web_apps.begin_swap_slot(GROUP, SITE, SLOT, both).result()
    site = web.web_apps.get(GROUP, SITE)
    assert site.slot_swap_status.source_slot_name == SLOT, site.slot_swap_status
    status, _, body = ask(trust, f"https://{site.default_host_name}/where", {})
    assert (status, body) == (200, b"blue new"), (status, body)
    blue = web.web_apps.list_application_settings(GROUP, SITE).properties
    green = web.web_apps.list_application_settings_slot(GROUP, SITE, SLOT).properties
    assert (blue, green) == ({"WHERE": "blue", "WHAT": "new"}, {"WHERE": "green", "WHAT": "old"}), (blue, green)
    web.web_apps.apply_slot_configuration_slot(GROUP, SITE, SLOT, both)
    assert web.web_apps.list_application_settings_slot(GROUP, SITE, SLOT).properties["WHERE"] == "blue"
    web.web_apps.reset_slot_configuration_slot(GROUP, SITE, SLOT)
    web.web_apps.begin_swap_slot_with_production(GROUP, SITE, models.CsmSlotEntity(
        target_slot=SLOT, preserve_vnet=True)).result()
    web.web_apps.begin_swap_slot(GROUP, SITE, SLOT, both).result()
    print("swapped, back, and swapped again; sticky settings stayed")


def keys_and_functions(web):
    keys = web.web_apps.list_host_keys(GROUP, SITE)
    assert keys.master_key and keys.function_keys["default"], keys
    functions = [one.name for one in web.web_apps.list_functions(GROUP, SITE)]
    assert functions == [f"{SITE}/where"], functions
    web.web_apps.sync_function_triggers(GROUP, SITE)
    web.web_apps.sync_functions(GROUP, SITE)
    web.web_apps.restart(GROUP, SITE)
    print(f"functions: {', '.join(functions)}; keys are there")


def refusals(web):
    try:
        web.web_apps.get(GROUP, "absent")
        raise AssertionError("a site that is not there was found")
    except ResourceNotFoundError as error:
        assert error.error.code == "ResourceNotFound", error
    body = models.Site(location=PLACE)
    web.web_apps.begin_create_or_update_slot(GROUP, SITE, "third", body).result()
    try:
        web.web_apps.begin_create_or_update_slot(GROUP, SITE, "fourth", body).result()
        raise AssertionError("the plan took a fourth slot")
    except HttpResponseError as error:
        assert (error.status_code, error.error.code) == (409, "Conflict"), error
    print("what is not there is not found, and the plan's limit holds")


def clean(resources, web):
    web.web_apps.delete_slot(GROUP, SITE, SLOT)
    web.web_apps.delete(GROUP, SITE)
    web.app_service_plans.delete(GROUP, PLAN)
    resources.resource_groups.begin_delete(GROUP).result()
    assert not resources.resource_groups.check_existence(GROUP)
    print("everything is gone again")


def ask(trust, url, headers, body=None):
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, context=trust, timeout=30) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


if __name__ == "__main__":
    sys.exit(main())
