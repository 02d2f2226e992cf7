/* The functions of QNX that the port calls by ctypes, with QNX's prototypes and structures, made of Linux' calls.
 *
 * Prototypes: C Library Reference of QNX 8.0.  Structures: 64-bit QNX, as the Rust crate libc has them.  What lies
 * behind is Linux, so this shows that the port calls rightly and reads rightly, and nothing of how QNX behaves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

struct qnx_statvfs {
    unsigned long f_bsize, f_frsize;
    uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail;
    unsigned long f_fsid;
    char f_basetype[16];
    unsigned long f_flag, f_namemax;
    unsigned f_filler[21];
};

struct qnx_sockaddr_in {
    uint8_t sin_len, sin_family;
    uint16_t sin_port;
    uint8_t sin_addr[4];
    int8_t sin_zero[8];
};

struct qnx_sockaddr_in6 {
    uint8_t sin6_len, sin6_family;
    uint16_t sin6_port;
    uint32_t sin6_flowinfo;
    uint8_t sin6_addr[16];
    uint32_t sin6_scope_id;
};

struct qnx_ifaddrs {
    struct qnx_ifaddrs *ifa_next;
    char *ifa_name;
    unsigned ifa_flags;
    void *ifa_addr, *ifa_netmask, *ifa_dstaddr, *ifa_data;
};

struct layout {
    const char *name;
    size_t offset;
};
#define FIELD(type, field) {#type "." #field, offsetof(struct qnx_##type, field)}
const struct layout layouts[] = {
    FIELD(statvfs, f_blocks), FIELD(statvfs, f_favail), FIELD(statvfs, f_basetype), FIELD(statvfs, f_namemax),
    FIELD(ifaddrs, ifa_name), FIELD(ifaddrs, ifa_flags), FIELD(ifaddrs, ifa_addr), FIELD(ifaddrs, ifa_data),
    {"statvfs", sizeof(struct qnx_statvfs)}, {"ifaddrs", sizeof(struct qnx_ifaddrs)}, {NULL, 0},
};

char base_type[16] = "qnx6"; /* what a test wants it to be */
int lies;                    /* whether f_namemax is another than everybody else says */
int last_mask;               /* of inotify_add_watch */
int lists_given;             /* by getifaddrs, and not freed */
int acls_given;              /* by the functions of access control lists, and not freed */

int fstatvfs(int fildes, struct qnx_statvfs *buf)
{
    struct statfs found;
    if (syscall(SYS_fstatfs, fildes, &found))
        return -1;
    memset(buf, 0, sizeof *buf);
    buf->f_bsize = found.f_bsize;
    buf->f_frsize = found.f_frsize;
    buf->f_blocks = found.f_blocks;
    buf->f_bfree = found.f_bfree;
    buf->f_bavail = found.f_bavail;
    memcpy(buf->f_basetype, base_type, sizeof base_type);
    buf->f_namemax = found.f_namelen + lies;
    return 0;
}

int inotify_init(void)
{
    return syscall(SYS_inotify_init);
}

int inotify_add_watch(int inotify_fd, const char *path, int mask)
{
    last_mask = mask;
    return syscall(SYS_inotify_add_watch, inotify_fd, path, mask);
}

int inotify_rm_watch(int inotify_fd, int wd)
{
    return syscall(SYS_inotify_rm_watch, inotify_fd, wd);
}

enum { UP = 1, LOOPBACK = 8, INET = 2, LINK = 18, INET6 = 24 };

static struct qnx_ifaddrs *add(struct qnx_ifaddrs *next, const char *name, unsigned flags, int family, const char *bytes)
{
    struct qnx_ifaddrs *entry = calloc(1, sizeof *entry);
    entry->ifa_next = next;
    entry->ifa_name = strdup(name);
    entry->ifa_flags = flags;
    if (family == INET6) {
        struct qnx_sockaddr_in6 *address = calloc(1, sizeof *address);
        address->sin6_len = sizeof *address;
        memcpy(address->sin6_addr, bytes, 16);
        entry->ifa_addr = address;
    } else if (family) {
        struct qnx_sockaddr_in *address = calloc(1, sizeof *address);
        address->sin_len = sizeof *address;
        memcpy(address->sin_addr, bytes, 4);
        entry->ifa_addr = address;
    }
    if (family)
        ((struct qnx_sockaddr_in *)entry->ifa_addr)->sin_family = family;
    return entry;
}

int getifaddrs(struct qnx_ifaddrs **ifap)
{
    struct qnx_ifaddrs *list = NULL;
    list = add(list, "vtnet1", 0, INET, "\300\000\002\011");
    list = add(list, "vtnet0", UP, INET6, "\376\200\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
    list = add(list, "vtnet0", UP, INET6, "\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\7");
    list = add(list, "vtnet0", UP, INET, "\300\000\002\007");
    list = add(list, "vtnet0", UP, LINK, "\1\2\3\4");
    list = add(list, "tun0", UP, 0, NULL);
    *ifap = add(list, "lo0", UP | LOOPBACK, INET, "\177\0\0\1");
    lists_given++;
    return 0;
}

void freeifaddrs(struct qnx_ifaddrs *ifp)
{
    lists_given--;
    while (ifp) {
        struct qnx_ifaddrs *next = ifp->ifa_next;
        free(ifp->ifa_addr);
        free(ifp->ifa_name);
        free(ifp);
        ifp = next;
    }
}

/* Access control lists: texts in memory, each good until its file is changed in another way. */
enum { FILES = 64, TEXT = 1024 };

static struct {
    dev_t device;
    ino_t inode;
    struct timespec changed;
    char text[TEXT];
} known[FILES];
static unsigned next_known;

static char *give(const char *text)
{
    acls_given++;
    return strdup(text);
}

static int is_of(unsigned index, const struct stat *found)
{
    return known[index].device == found->st_dev && known[index].inode == found->st_ino &&
           known[index].changed.tv_sec == found->st_ctim.tv_sec &&
           known[index].changed.tv_nsec == found->st_ctim.tv_nsec;
}

static void add_line(char *text, const char *tag, unsigned bits)
{
    sprintf(text + strlen(text), "%s::%c%c%c\n", tag, bits & 4 ? 'r' : '-', bits & 2 ? 'w' : '-', bits & 1 ? 'x' : '-');
}

static unsigned bits_of(const char *text, const char *tag)
{
    const char *at = strstr(text, tag);
    if (!at)
        return 8;
    at += strlen(tag);
    return (at[0] == 'r') << 2 | (at[1] == 'w') << 1 | (at[2] == 'x');
}

void *acl_get_fd(int fd)
{
    struct stat found;
    char text[64] = "";
    if (fstat(fd, &found))
        return NULL;
    for (unsigned index = 0; index < FILES; index++)
        if (is_of(index, &found))
            return give(known[index].text);
    add_line(text, "user", found.st_mode >> 6);
    add_line(text, "group", found.st_mode >> 3);
    add_line(text, "other", found.st_mode);
    return give(text);
}

void *acl_from_text(const char *buf_p)
{
    if (strlen(buf_p) >= TEXT || (bits_of(buf_p, "user::") | bits_of(buf_p, "group::") | bits_of(buf_p, "other::")) & 8) {
        errno = EINVAL;
        return NULL;
    }
    return give(buf_p);
}

char *acl_to_text(void *acl, ssize_t *len_p)
{
    if (len_p)
        *len_p = strlen(acl);
    return give(acl);
}

int acl_set_fd(int fd, void *acl)
{
    unsigned mask = bits_of(acl, "mask::");
    unsigned group = mask & 8 ? bits_of(acl, "group::") : mask;
    struct stat found;
    unsigned index = 0;
    if (fchmod(fd, bits_of(acl, "user::") << 6 | group << 3 | bits_of(acl, "other::")) || fstat(fd, &found))
        return -1;
    while (index < FILES && (known[index].device != found.st_dev || known[index].inode != found.st_ino))
        index++;
    if (index == FILES)
        index = next_known++ % FILES;
    known[index].device = found.st_dev;
    known[index].inode = found.st_ino;
    known[index].changed = found.st_ctim;
    strcpy(known[index].text, acl);
    return 0;
}

int acl_free(void *obj_p)
{
    acls_given--;
    free(obj_p);
    return 0;
}
