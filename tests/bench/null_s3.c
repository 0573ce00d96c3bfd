/*
 * An S3 and STS endpoint that costs next to nothing: objects are zeros of the length that
 * their key names, uploads are dropped, no signature is checked. Only the lengths of what
 * was uploaded are remembered, since some clients ask. For the benchmark, on loopback.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"
#include "sandbox/http_server.h"
#include "sandbox/http_tls.h"
#include "sandbox/query.h"

#define SLOTS      (1u << 21) /* of remembered lengths; a power of two */
#define PROBES     64
#define PAGE       1000
#define BODY_MAX   (4u << 20)
#define ANSWER_MAX (8u << 20)
#define SIZE_MAX_  (UINT64_C(1) << 50)
#define ETAG       "\"0123456789abcdef0123456789abcdef-1\"" /* not an MD5 */
#define MODIFIED   "Wed, 01 Jan 2025 00:00:00 GMT"
#define S3_NS      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define XML_HEAD   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

/* What all workers share. */
struct shared {
	_Atomic uint64_t requests, connections, gets, puts, heads, lists, others;
	struct {
		_Atomic uint64_t id, length;
	} slots[SLOTS];
};

static struct shared *shared;
static int64_t delay_ms; /* of each answer */

/* --- lengths --- */

static uint64_t path_id(const char *path)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

/* The slot of a path, taken if need be; NULL: not there, or no room. */
static _Atomic uint64_t *slot_of(const char *path, bool may_add)
{
	uint64_t id = path_id(path), at = id, seen;

	for (int i = 0; i < PROBES; i++, at++) {
		seen = atomic_load(&shared->slots[at % SLOTS].id);
		if (!seen && !may_add)
			return NULL;
		if (!seen && atomic_compare_exchange_strong(
				     &shared->slots[at % SLOTS].id, &seen, id))
			return &shared->slots[at % SLOTS].length;
		if (seen == id)
			return &shared->slots[at % SLOTS].length;
	}
	return NULL;
}

/* "virtual/SIZE" and "list/COUNT/SIZE/INDEX" behind the bucket exist without upload. */
static bool length_of(const char *path, uint64_t *ret)
{
	const char *key = strchr(path + 1, '/');
	_Atomic uint64_t *slot = slot_of(path, false);
	unsigned long long n, size, index;

	if (slot) {
		*ret = atomic_load(slot);
		return true;
	}
	if (key && sscanf(key, "/virtual/%llu", &size) == 1 && size < SIZE_MAX_) {
		*ret = size;
		return true;
	}
	if (key && sscanf(key, "/list/%llu/%llu/%llu", &n, &size, &index) == 3 &&
		index < n && size < SIZE_MAX_) {
		*ret = size;
		return true;
	}
	return false;
}

/* CRC-64/NVME of so many zeros; the last few are remembered. */
static uint64_t crc_of_zeros(uint64_t size)
{
	static const char zeros[1 << 20];
	static struct {
		uint64_t size, crc;
	} known[8];
	static size_t next;
	uint64_t crc = 0, left, n;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].size == size)
			return known[i].crc;
	for (left = size; left; left -= n) {
		n = left < sizeof(zeros) ? left : sizeof(zeros);
		crc = crc64nvme(crc, zeros, n);
	}
	known[next].size = size;
	known[next].crc = crc;
	next = (next + 1) % ARRAY_LEN(known);
	return crc;
}

/* --- answers --- */

static void reply(struct http_exchange *x, int status, const char *headers, struct buf *body)
{
	struct http_answer a = {.status = status, .headers = headers,
		.body = body ? buf_str(body) : "", .length = body ? (int64_t)body->len : 0};

	http_reply(x, &a);
	if (body)
		buf_done(body);
}

static void reply_xml(struct http_exchange *x, int status, struct buf *body)
{
	reply(x, status, "Content-Type: application/xml\r\nx-amz-request-id: NULL\r\n", body);
}

static void reply_error(struct http_exchange *x, int status, const char *code)
{
	struct buf b = BUF_INIT(ANSWER_MAX);

	buf_printf(&b, XML_HEAD "<Error><Code>%s</Code><Message>%s</Message></Error>", code,
		code);
	if (str_eq(x->method, "HEAD"))
		buf_reset(&b);
	reply_xml(x, status, &b);
}

static void produce(struct http_exchange *x, uint64_t offset, char *out, size_t len)
{
	memset(out, 0, len);
}

/* "bytes=A-B" "bytes=A-" "bytes=-N"; false: answer the whole. */
static bool read_range(const char *text, uint64_t size, uint64_t *first, uint64_t *length)
{
	unsigned long long a, b;
	int n = text ? sscanf(text, "bytes=%llu-%llu", &a, &b) : 0;

	if (n == 2 || n == 1) {
		if (n == 1 || b >= size)
			b = size - 1;
	} else if (text && sscanf(text, "bytes=-%llu", &b) == 1) {
		a = b < size ? size - b : 0;
		b = size - 1;
	} else {
		return false;
	}
	if (a > b || !size)
		return false;
	*first = a;
	*length = b - a + 1;
	return true;
}

static void answer_object(struct http_exchange *x, bool is_head)
{
	uint64_t size, first = 0, length;
	char headers[768], crc[CRC64_BASE64_LEN], extra[256] = "";
	bool is_range;
	struct http_answer a = {.headers = headers, .has_no_body = is_head,
		.produce = produce};

	if (!length_of(x->path, &size)) {
		reply_error(x, 404, is_head ? "NotFound" : "NoSuchKey");
		return;
	}
	length = size;
	is_range = read_range(http_field(x, "range"), size, &first, &length);
	if (is_range) {
		snprintf(extra, sizeof(extra), "Content-Range: bytes %llu-%llu/%llu\r\n",
			(unsigned long long)first,
			(unsigned long long)(first + length - 1),
			(unsigned long long)size);
	} else if (http_field(x, "x-amz-checksum-mode")) {
		crc64nvme_base64(crc_of_zeros(size), crc);
		snprintf(extra, sizeof(extra),
			"x-amz-checksum-crc64nvme: %s\r\n"
			"x-amz-checksum-type: FULL_OBJECT\r\n",
			crc);
	}
	snprintf(headers, sizeof(headers),
		"Content-Type: application/octet-stream\r\nETag: " ETAG "\r\n"
		"Last-Modified: " MODIFIED "\r\nAccept-Ranges: bytes\r\n%s",
		extra);
	a.status = is_range ? 206 : 200;
	a.length = (int64_t)length;
	http_reply(x, &a);
}

/* --- uploads --- */

static uint64_t body_length(const struct http_exchange *x)
{
	const char *text = http_field(x, "x-amz-decoded-content-length");
	uint64_t n = (uint64_t)x->content_length;

	if (text)
		str_to_uint(text, SIZE_MAX_, &n);
	return n;
}

static void answer_put(struct http_exchange *x, const struct query *q)
{
	const char *crc = http_field(x, "x-amz-checksum-crc64nvme");
	_Atomic uint64_t *slot = slot_of(x->path, true);
	char headers[256];

	if (slot && query_get(q, "partNumber"))
		atomic_fetch_add(slot, body_length(x));
	else if (slot)
		atomic_store(slot, body_length(x));
	snprintf(headers, sizeof(headers), "ETag: " ETAG "\r\n%s%.20s%s",
		crc ? "x-amz-checksum-crc64nvme: " : "", crc ? crc : "",
		crc ? "\r\nx-amz-checksum-type: FULL_OBJECT\r\n" : "");
	reply(x, 200, headers, NULL);
}

static void answer_create(struct http_exchange *x)
{
	struct buf b = BUF_INIT(ANSWER_MAX);
	_Atomic uint64_t *slot = slot_of(x->path, true);

	if (slot)
		atomic_store(slot, 0);
	buf_puts(&b, XML_HEAD "<InitiateMultipartUploadResult " S3_NS "><Bucket>b</Bucket>"
			      "<Key>k</Key><UploadId>null</UploadId>"
			      "</InitiateMultipartUploadResult>");
	/* As S3 does: without it a client has to digest each part for its ETag. */
	reply(x, 200,
		http_field(x, "x-amz-checksum-algorithm")
			? "Content-Type: application/xml\r\n"
			  "x-amz-checksum-algorithm: CRC64NVME\r\n"
			  "x-amz-checksum-type: FULL_OBJECT\r\n"
			: "Content-Type: application/xml\r\n",
		&b);
}

static void answer_complete(struct http_exchange *x)
{
	const char *crc = http_field(x, "x-amz-checksum-crc64nvme");
	struct buf b = BUF_INIT(ANSWER_MAX);

	buf_puts(&b, XML_HEAD "<CompleteMultipartUploadResult " S3_NS ">"
			      "<Bucket>b</Bucket><Key>k</Key><ETag>" ETAG "</ETag>");
	if (crc)
		buf_printf(&b,
			"<ChecksumCRC64NVME>%.20s</ChecksumCRC64NVME>"
			"<ChecksumType>FULL_OBJECT</ChecksumType>",
			crc);
	buf_puts(&b, "</CompleteMultipartUploadResult>");
	reply_xml(x, 200, &b);
}

/* --- listings --- */

struct listing {
	unsigned long long count, size, from, to;
	bool is_v2;
};

/* Where a page begins: behind the key that a client names, or at our own token. */
static unsigned long long page_start(const struct query *q)
{
	static const char *const after[] = {"marker", "start-after"};
	const char *token = query_get(q, "continuation-token"), *slash;
	uint64_t n = 0;

	if (token && str_to_uint(token, SIZE_MAX_, &n) == 0)
		return n;
	for (size_t i = 0; i < ARRAY_LEN(after); i++) {
		token = query_get(q, after[i]);
		slash = token ? strrchr(token, '/') : NULL;
		if (slash && str_to_uint(slash + 1, SIZE_MAX_, &n) == 0)
			return n + 1;
	}
	return 0;
}

static struct listing read_listing(const struct query *q)
{
	const char *prefix = query_get(q, "prefix"), *max = query_get(q, "max-keys");
	struct listing l = {.is_v2 = str_eq(query_get(q, "list-type"), "2")};
	uint64_t n = PAGE;

	if (!prefix || sscanf(prefix, "list/%llu/%llu/", &l.count, &l.size) != 2)
		return l;
	if (max && str_to_uint(max, PAGE, &n) < 0)
		n = PAGE;
	l.from = page_start(q);
	l.to = l.from + n < l.count ? l.from + n : l.count;
	if (l.from > l.to)
		l.from = l.to;
	return l;
}

static void answer_list(struct http_exchange *x, const struct query *q)
{
	struct listing l = read_listing(q);
	struct buf b = BUF_INIT(ANSWER_MAX);
	unsigned long long i;

	buf_printf(&b,
		XML_HEAD "<ListBucketResult " S3_NS "><Name>b</Name><MaxKeys>1000</MaxKeys>"
			 "%s<KeyCount>%llu</KeyCount><IsTruncated>%s</IsTruncated>",
		query_get(q, "encoding-type") ? "<EncodingType>url</EncodingType>" : "",
		l.to - l.from, l.to < l.count ? "true" : "false");
	for (i = l.from; i < l.to; i++)
		buf_printf(&b,
			"<Contents><Key>list/%llu/%llu/%08llu</Key><LastModified>"
			"2025-01-01T00:00:00.000Z</LastModified><ETag>&quot;%s&quot;</ETag>"
			"<Size>%llu</Size><StorageClass>STANDARD</StorageClass></Contents>",
			l.count, l.size, i, "0123456789abcdef0123456789abcdef-1", l.size);
	if (l.to < l.count && l.is_v2)
		buf_printf(&b, "<NextContinuationToken>%llu</NextContinuationToken>", l.to);
	else if (l.to < l.count)
		buf_printf(&b, "<NextMarker>list/%llu/%llu/%08llu</NextMarker>", l.count,
			l.size, l.to - 1);
	buf_puts(&b, "</ListBucketResult>");
	reply_xml(x, 200, &b);
}

/* --- STS --- */

static void answer_sts(struct http_exchange *x, const struct buf *body)
{
	struct query form;
	struct buf b = BUF_INIT(ANSWER_MAX);
	int r = query_parse(&form, buf_str(body), true);
	const char *arn = r < 0 ? NULL : query_get(&form, "RoleArn");
	const char *name = r < 0 ? NULL : query_get(&form, "RoleSessionName");
	const char *role = arn ? strchr(arn, '/') : NULL;

	if (!arn || !name || !str_has_prefix(arn, "arn:aws:iam::")) {
		reply_error(x, 400, "InvalidAction");
		query_done(&form);
		return;
	}
	buf_printf(&b,
		"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
		"<AssumeRoleResult><AssumedRoleUser><AssumedRoleId>AROANULL:%s"
		"</AssumedRoleId><Arn>arn:aws:sts::%.12s:assumed-role%s/%s</Arn>"
		"</AssumedRoleUser><Credentials><AccessKeyId>ASIANULL000000000001"
		"</AccessKeyId><SecretAccessKey>nullSecret</SecretAccessKey><SessionToken>"
		"nullToken</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
		"</Credentials></AssumeRoleResult></AssumeRoleResponse>",
		name, arn + strlen("arn:aws:iam::"), role ? role : "/x", name);
	query_done(&form);
	reply_xml(x, 200, &b);
}

/* --- requests --- */

static void answer_counters(struct http_exchange *x)
{
	struct buf b = BUF_INIT(ANSWER_MAX);

	buf_printf(&b,
		"{\"requests\": %llu, \"connections\": %llu, \"GET\": %llu, \"PUT\": %llu, "
		"\"HEAD\": %llu, \"list\": %llu, \"other\": %llu}\n",
		(unsigned long long)shared->requests,
		(unsigned long long)shared->connections, (unsigned long long)shared->gets,
		(unsigned long long)shared->puts, (unsigned long long)shared->heads,
		(unsigned long long)shared->lists, (unsigned long long)shared->others);
	reply(x, 200, "Content-Type: application/json\r\n", &b);
}

static bool is_bucket(const char *path)
{
	const char *slash = strchr(path + 1, '/');

	return !slash || !slash[1];
}

static void answer_get(struct http_exchange *x, const struct query *q)
{
	struct buf b = BUF_INIT(ANSWER_MAX);

	if (!is_bucket(x->path) && !query_get(q, "uploadId")) {
		shared->gets++;
		answer_object(x, false);
		return;
	}
	if (query_get(q, "uploadId")) {
		shared->others++;
		buf_puts(&b, XML_HEAD "<ListPartsResult " S3_NS "><UploadId>null</UploadId>"
				      "<IsTruncated>false</IsTruncated></ListPartsResult>");
	} else if (query_get(q, "location")) {
		shared->others++;
		buf_puts(&b, XML_HEAD "<LocationConstraint " S3_NS "/>");
	} else {
		shared->lists++;
		answer_list(x, q);
		return;
	}
	reply_xml(x, 200, &b);
}

static void answer_post(struct http_exchange *x, const struct query *q, const struct buf *body)
{
	struct buf b = BUF_INIT(ANSWER_MAX);

	shared->others++;
	if (query_get(q, "uploads")) {
		answer_create(x);
	} else if (query_get(q, "uploadId")) {
		answer_complete(x);
	} else if (query_get(q, "delete")) {
		buf_puts(&b, XML_HEAD "<DeleteResult " S3_NS "/>");
		reply_xml(x, 200, &b);
	} else {
		answer_sts(x, body);
	}
}

static void on_head(void *arg, struct http_exchange *x)
{
	struct buf *body;

	if (x->is_first)
		shared->connections++;
	shared->requests++;
	if (!str_eq(x->method, "POST"))
		return;
	body = mem_alloc(sizeof(*body));
	buf_init(body, BODY_MAX);
	x->user = body;
}

static void on_body(void *arg, struct http_exchange *x, const char *data, size_t len)
{
	if (x->user)
		buf_append(x->user, data, len);
}

static void on_end(void *arg, struct http_exchange *x)
{
	struct query q;

	if (str_eq(x->path, "/_null/counters")) {
		shared->requests--;
		shared->connections -= x->is_first;
		answer_counters(x);
		return;
	}
	x->delay_ms = delay_ms;
	if (query_parse(&q, x->query, false) < 0) {
		reply_error(x, 400, "InvalidURI");
	} else if (str_eq(x->method, "GET")) {
		answer_get(x, &q);
	} else if (str_eq(x->method, "HEAD")) {
		shared->heads++;
		if (is_bucket(x->path))
			reply(x, 200, "x-amz-bucket-region: us-east-1\r\n", NULL);
		else
			answer_object(x, true);
	} else if (str_eq(x->method, "PUT")) {
		shared->puts++;
		answer_put(x, &q);
	} else if (str_eq(x->method, "POST")) {
		answer_post(x, &q, x->user);
	} else {
		shared->others++;
		reply(x, 204, "", NULL);
	}
	query_done(&q);
}

static void on_done(void *arg, struct http_exchange *x)
{
	if (x->user)
		buf_done(x->user);
	free(x->user);
}

/* --- workers --- */

static int open_listener(const char *port, uint16_t *ret_port)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	uint64_t n;
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || str_to_uint(port, 65535, &n) < 0)
		return -1;
	in.sin_port = htons((uint16_t)n);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, 1024) < 0 ||
		getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		return -1;
	*ret_port = ntohs(in.sin_port);
	return fd;
}

static void serve(int fd, struct http_tls *tls)
{
	static const struct http_handler handler = {.on_head = on_head, .on_body = on_body,
		.on_end = on_end, .on_done = on_done};
	struct loop *loop = loop_new(clock_system());

	if (!loop)
		exit(1);
	http_server_new(loop, fd, tls, &handler);
	loop_run(loop);
}

int main(int argc, char **argv)
{
	struct http_tls *tls = NULL;
	uint64_t workers = 1, delay = 0;
	uint16_t port;
	int fd;

	if (argc > 6 || argc == 5 ||
		(argc > 2 && str_to_uint(argv[2], 64, &workers) < 0) ||
		(argc > 3 && str_to_uint(argv[3], 60000, &delay) < 0)) {
		fputs("usage: null_s3 [PORT [WORKERS [DELAY_MS [CERTIFICATE KEY]]]]\n",
			stderr);
		return 64;
	}
	delay_ms = (int64_t)delay;
	/* Before the workers: a session's ticket holds at each of them. */
	if (argc > 4 && !(tls = http_tls_new(argv[4], argv[5])))
		return 65;
	fd = open_listener(argc > 1 ? argv[1] : "0", &port);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || shared == MAP_FAILED) {
		perror("null_s3");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	printf("listening 127.0.0.1:%u\n", port);
	fflush(stdout);
	while (workers-- > 1)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			break;
		}
	serve(fd, tls);
	return 0;
}
