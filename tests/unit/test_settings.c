/* Who is asked first for region, endpoints and variants: own, environment, CLI's files.
 */
#include "config.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/profile.h"
#include "aws/settings.h"
#include "base/mem.h"

static const char files[] = "[default]\n"
			    "region = eu-west-3\n"
			    "[profile full]\n"
			    "region = eu-north-1\n"
			    "ca_bundle = /file/ca\n"
			    "endpoint_url = https://general\n"
			    "services = mine\n"
			    "use_fips_endpoint = TRUE\n"
			    "s3 =\n"
			    "  addressing_style = path\n"
			    "  use_dualstack_endpoint = true\n"
			    "  use_accelerate_endpoint = true\n"
			    "  use_arn_region = false\n"
			    "[services mine]\n"
			    "s3 =\n"
			    "  endpoint_url = https://files-s3\n";

static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS",
	"AWS_CA_BUNDLE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT",
	"AWS_USE_DUALSTACK_ENDPOINT", "AWS_S3_USE_ARN_REGION", "https_proxy",
	"HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"};

struct fixture {
	struct creds_env *env;
	struct profiles *profiles;
	struct settings s;
};

static void clear_environment(void)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	char why[200];

	clear_environment();
	f->profiles = profiles_parse(files, "config", NULL, NULL, why);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	creds_env_free(f->env);
	profiles_free(f->profiles);
	settings_done(&f->s);
	free(f);
	clear_environment();
	return 0;
}

static void find(struct fixture *f, const char *name, const struct settings_own *own)
{
	creds_env_free(f->env);
	f->env = creds_env_take();
	settings_done(&f->s);
	settings_find(f->env, f->profiles, name, own, &f->s);
}

static void files_are_asked_last(void **state)
{
	const struct settings_own nothing = {0};
	struct fixture *f = *state;

	find(f, "full", &nothing);
	assert_string_equal(f->s.region, "eu-north-1");
	assert_string_equal(f->s.ca_bundle, "/file/ca");
	assert_string_equal(f->s.s3_endpoint_url, "https://files-s3");
	assert_string_equal(f->s.sts_endpoint_url, "https://general");
	assert_int_equal(f->s.options.style, ENDPOINT_STYLE_PATH);
	assert_true(f->s.options.use_fips && f->s.options.use_dual_stack);
	assert_true(f->s.options.use_accelerate && f->s.options.ignore_arn_region);
	find(f, "default", &nothing);
	assert_string_equal(f->s.region, "eu-west-3");
	assert_null(f->s.s3_endpoint_url);
	assert_int_equal(f->s.options.style, ENDPOINT_STYLE_AUTO);
	assert_false(f->s.options.use_fips || f->s.options.ignore_arn_region);
	find(f, "nobody", &nothing);
	assert_null(f->s.region);
}

static void the_environment_goes_before_them(void **state)
{
	const struct settings_own nothing = {0};
	struct fixture *f = *state;

	setenv("AWS_DEFAULT_REGION", "us-west-1", 1);
	setenv("AWS_CA_BUNDLE", "/env/ca", 1);
	setenv("AWS_ENDPOINT_URL", "https://env", 1);
	setenv("AWS_USE_FIPS_ENDPOINT", "false", 1);
	setenv("AWS_S3_USE_ARN_REGION", "True", 1);
	find(f, "full", &nothing);
	assert_string_equal(f->s.region, "us-west-1");
	assert_string_equal(f->s.ca_bundle, "/env/ca");
	assert_string_equal(f->s.s3_endpoint_url, "https://env");
	assert_string_equal(f->s.sts_endpoint_url, "https://env");
	assert_false(f->s.options.use_fips || f->s.options.ignore_arn_region);
	setenv("AWS_REGION", "us-west-2", 1);
	setenv("AWS_ENDPOINT_URL_S3", "https://env-s3", 1);
	find(f, "full", &nothing);
	assert_string_equal(f->s.region, "us-west-2");
	assert_string_equal(f->s.s3_endpoint_url, "https://env-s3");
	assert_string_equal(f->s.sts_endpoint_url, "https://env");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	find(f, "full", &nothing);
	assert_null(f->s.s3_endpoint_url);
	assert_null(f->s.sts_endpoint_url);
}

static void own_values_go_before_all(void **state)
{
	const struct settings_own own = {.region = "sa-east-1",
		.endpoint_url = "https://own",
		.ca_bundle = "/own/ca",
		.use_fips = SETTING_NO,
		.use_dual_stack = SETTING_NO,
		.use_accelerate = SETTING_NO,
		.use_arn_region = SETTING_YES,
		.style = ENDPOINT_STYLE_VIRTUAL,
		.payload = ENDPOINT_PAYLOAD_NEVER};
	struct fixture *f = *state;

	setenv("AWS_REGION", "us-west-2", 1);
	setenv("AWS_ENDPOINT_URL", "https://env", 1);
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	find(f, "full", &own);
	assert_string_equal(f->s.region, "sa-east-1");
	assert_string_equal(f->s.s3_endpoint_url, "https://own");
	assert_string_equal(f->s.sts_endpoint_url, "https://own");
	assert_string_equal(f->s.ca_bundle, "/own/ca");
	assert_int_equal(f->s.options.style, ENDPOINT_STYLE_VIRTUAL);
	assert_int_equal(f->s.options.payload, ENDPOINT_PAYLOAD_NEVER);
	assert_false(f->s.options.use_fips || f->s.options.use_dual_stack ||
		     f->s.options.use_accelerate || f->s.options.ignore_arn_region);
}

/* A password may be among them; HTTP_PROXY is what a client of a CGI can set. */
static void proxies_leave_the_environment(void **state)
{
	struct fixture *f = *state;
	const char *https, *http, *none;

	setenv("HTTPS_PROXY", "http://user:word@proxy:1", 1);
	setenv("HTTP_PROXY", "http://evil:1", 1);
	setenv("NO_PROXY", "intern", 1);
	f->env = creds_env_take();
	creds_env_get_proxies(f->env, &https, &http, &none);
	assert_string_equal(https, "http://user:word@proxy:1");
	assert_null(http);
	assert_string_equal(none, "intern");
	assert_null(getenv("HTTPS_PROXY"));
	assert_string_equal(getenv("NO_PROXY"), "intern");
}

static void places_in_files_are_known(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *profile = profiles_where(f->profiles, "full", "");
	_cleanup_free_ char *key = profiles_where(f->profiles, "full", "ca_bundle");

	assert_string_equal(profile, "config:3");
	assert_string_equal(key, "config:5");
	assert_null(profiles_where(f->profiles, "nobody", ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

UNIT_MAIN(TEST(files_are_asked_last), TEST(the_environment_goes_before_them),
	TEST(own_values_go_before_all), TEST(proxies_leave_the_environment),
	TEST(places_in_files_are_known))
