/* T2: FreeBSD's functions with FreeBSD's numbers, structures and errors, on top of Linux' system calls.
 *
 * Built by conftest.py with -DRELEASE=13, 14 or 15.  Every number of FreeBSD comes from abi.tsv, as F_NAME.  Names are
 * exported by asm labels, because Linux' headers declare most of them, and bound to this library by -Bsymbolic.
 * What FreeBSD keeps in the inode and Linux does not (flags, a time of birth that was moved) is in extended attributes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "numbers.h" /* made from abi.tsv: F_..., F_SIZE_..., F_AT_..., and errors[] */

#define EXPORT(name) __asm__(#name) __attribute__((visibility("default")))
#define FLAGS "user.standin.flags"
#define BIRTH "user.standin.birth"
#define OWN "user.standin."
#define PREFIX "user." /* as other servers on Linux name them, so that tests can have both */
#define SYSTEM_PREFIX "security."
#define NFS4 "user.standin.nfs4"
#define NAMED "user.standin.named" /* the number of a directory with the file's named attributes */
#define AT_EMPTY_PATH_LINUX 0x1000
#define PUNCH_HOLE 3 /* FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE */

/* What tests turn: at most so many bytes (0: no limit) in one call, which then is interrupted or says EAGAIN. */
long standin_split = 0;
int standin_interrupts = 0;
char standin_fstypename[16] = "ufs";
int standin_local = 1;
int standin_cold = 0; /* no data is in memory */
char standin_named[200] = ""; /* a directory for named attributes: ZFS with xattr=dir */
int standin_reserves = 1; /* the file system has posix_fallocate */
int standin_confined = 0; /* cap_enter was called */

struct f_timespec { int64_t tv_sec; long tv_nsec; };
struct f_stat {
    uint64_t st_dev, st_ino, st_nlink;
    uint16_t st_mode; int16_t st_padding0;
    uint32_t st_uid, st_gid; int32_t st_padding1;
    uint64_t st_rdev;
    struct f_timespec st_atim, st_mtim, st_ctim, st_birthtim;
    int64_t st_size, st_blocks; int32_t st_blksize; uint32_t st_flags; uint64_t st_gen, st_spare[10];
};
struct f_statfs {
    uint32_t f_version, f_type; uint64_t f_flags; char f_between[264]; char f_fstypename[16]; char f_behind[2048];
};
struct f_sf_hdtr { struct iovec *headers; int hdr_cnt; struct iovec *trailers; int trl_cnt; };
struct f_spacectl_range { int64_t r_offset, r_len; };
#define SAME_SIZE(name) _Static_assert(sizeof(struct f_##name) == F_SIZE_##name, #name)
#define SAME_PLACE(name, field) _Static_assert(offsetof(struct f_##name, field) == F_AT_##name##_##field, #field)
SAME_SIZE(stat); SAME_SIZE(statfs); SAME_SIZE(sf_hdtr); SAME_SIZE(spacectl_range);
SAME_PLACE(stat, st_mode); SAME_PLACE(stat, st_uid); SAME_PLACE(stat, st_atim); SAME_PLACE(stat, st_birthtim);
SAME_PLACE(stat, st_size); SAME_PLACE(stat, st_flags); SAME_PLACE(statfs, f_flags); SAME_PLACE(statfs, f_fstypename);
SAME_PLACE(sf_hdtr, hdr_cnt); SAME_PLACE(spacectl_range, r_len);

/* Straight into the kernel, from the text of this library: so a filter knows whose call it is. */
static long raw(long number, long a, long b, long c, long d, long e, long f) {
#ifdef __x86_64__
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result >= 0 || result < -4095)
        return result;
    errno = -result;
    return -1;
#else
    return syscall(number, a, b, c, d, e, f);
#endif
}
#define WITH_SIX(number, a, b, c, d, e, f, ...) \
    raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define kernel(...) WITH_SIX(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static int fail(int number) { /* of FreeBSD */
    errno = number;
    return -1;
}

static int failed(void) { /* errno of Linux to FreeBSD's */
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].linux_number == errno)
            return fail(errors[i].number);
    return fail(F_EIO);
}

static const char *proc(int fd, char *path) {
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return path;
}

static int is_path_only(int fd) {
    int flags = kernel(SYS_fcntl, fd, F_GETFL);
    return flags >= 0 && flags & O_PATH;
}

static uint64_t kept(int fd, const char *name, uint64_t otherwise) {
    char path[32];
    uint64_t value;
    return kernel(SYS_getxattr, proc(fd, path), name, &value, sizeof value) == sizeof value ? value : otherwise;
}

/* Named attributes, as ZFS has them: files in a directory that belongs to the file.  There, they are what extattr
 * reaches, too, in the namespace "user". */

static int has_named(void) {
    return RELEASE >= 15 && *standin_named && !strcmp(standin_fstypename, "zfs");
}

/* The path of an attribute of what is open as `fd`; with an empty name, of the directory.  0 if there is no directory. */
static int named_path(int fd, const char *name, int make, char *path) {
    static uint64_t last;
    uint64_t number;
    char again[32];
    if (kernel(SYS_getxattr, proc(fd, again), NAMED, &number, sizeof number) != sizeof number) {
        struct timespec now;
        if (!make)
            return 0;
        kernel(SYS_clock_gettime, CLOCK_REALTIME, &now);
        number = now.tv_sec * 1000000000ULL + now.tv_nsec;
        last = number > last ? number : last + 1;
        number = last;
        snprintf(path, 600, "%s/%llx", standin_named, (unsigned long long)number);
        if (kernel(SYS_mkdir, path, 0700) || kernel(SYS_setxattr, again, NAMED, &number, sizeof number, 0))
            return 0;
    }
    snprintf(path, 600, "%s/%llx%s%s", standin_named, (unsigned long long)number, *name ? "/" : "", name);
    return 1;
}

static int open_named(int fd, const char *name, int flags, int linux_flags, int mode) {
    char path[600];
    int is_directory = !strcmp(name, ".");
    if (!has_named() || strchr(name, '/') || !strcmp(name, "..") || is_path_only(fd))
        return fail(F_EINVAL);
    if (strlen(name) > F_EXTATTR_MAXNAMELEN)
        return fail(F_ENAMETOOLONG);
    if (!named_path(fd, is_directory ? "" : name, is_directory || flags & F_O_CREAT, path))
        return fail(F_ENOENT);
    fd = kernel(SYS_openat, AT_FDCWD, path, linux_flags, mode);
    return fd < 0 ? failed() : fd;
}

/* Opening and looking */

static const struct { int theirs, linux_flag; } open_flags[] = {
    {F_O_NONBLOCK, O_NONBLOCK}, {F_O_APPEND, O_APPEND}, {F_O_NOFOLLOW, O_NOFOLLOW}, {F_O_CREAT, O_CREAT},
    {F_O_EXCL, O_EXCL}, {F_O_DIRECTORY, O_DIRECTORY}, {F_O_CLOEXEC, O_CLOEXEC}, {F_O_PATH, O_PATH},
};

int f_openat(int directory, const char *path, int flags, int mode) EXPORT(openat);
int f_openat(int directory, const char *path, int flags, int mode) {
    int known = 3 | F_O_RESOLVE_BENEATH | F_O_EMPTY_PATH | F_O_NAMEDATTR, linux_flags = flags & 3, fd;
    char again[32], target[8];
    for (size_t i = 0; i < sizeof open_flags / sizeof *open_flags; i++) {
        known |= open_flags[i].theirs;
        if (flags & open_flags[i].theirs)
            linux_flags |= open_flags[i].linux_flag;
    }
    if (flags & ~known)
        return fail(F_EINVAL);
    if (standin_confined && (*path == '/' || directory == F_AT_FDCWD))
        return fail(F_ECAPMODE);
    if (flags & F_O_NAMEDATTR)
        return open_named(directory, path, flags, linux_flags, mode);
    if (!*path && flags & F_O_EMPTY_PATH)
        fd = kernel(SYS_openat, AT_FDCWD, proc(directory, again), linux_flags & ~O_NOFOLLOW, mode);
    else if (flags & F_O_RESOLVE_BENEATH || standin_confined) {
        struct open_how how = {linux_flags, flags & F_O_CREAT ? mode : 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
        do
            fd = kernel(SYS_openat2, directory, path, &how, sizeof how);
        while (fd < 0 && errno == EAGAIN);
        if (fd < 0 && errno == EXDEV)
            return fail(F_ENOTCAPABLE);
    } else
        fd = kernel(SYS_openat, directory, path, linux_flags, mode);
    if (fd < 0 && errno == ELOOP && flags & F_O_NOFOLLOW &&
        kernel(SYS_readlinkat, directory, path, target, sizeof target) >= 0)
        return fail(F_EMLINK);
    return fd < 0 ? failed() : fd;
}

static struct f_timespec as_theirs(struct statx_timestamp time) {
    return (struct f_timespec){time.tv_sec, time.tv_nsec};
}

int f_fstatat(int directory, const char *name, struct f_stat *found, int flags) EXPORT(fstatat);
int f_fstatat(int directory, const char *name, struct f_stat *found, int flags) {
    struct statx got;
    int fd, is_empty = !*name && flags & F_AT_EMPTY_PATH;
    if (flags & ~(F_AT_SYMLINK_NOFOLLOW | F_AT_EMPTY_PATH))
        return fail(F_EINVAL);
    fd = is_empty ? directory
        : kernel(SYS_openat, directory, name, O_PATH | (flags & F_AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0));
    if (fd < 0)
        return failed();
    if (kernel(SYS_statx, fd, "", AT_EMPTY_PATH_LINUX, STATX_BASIC_STATS | STATX_BTIME, &got)) {
        int number = errno;
        if (!is_empty)
            kernel(SYS_close, fd);
        errno = number;
        return failed();
    }
    memset(found, 0, sizeof *found);
    found->st_dev = makedev(got.stx_dev_major, got.stx_dev_minor);
    found->st_ino = got.stx_ino;
    found->st_nlink = got.stx_nlink;
    found->st_mode = got.stx_mode;
    found->st_uid = got.stx_uid;
    found->st_gid = got.stx_gid;
    found->st_atim = as_theirs(got.stx_atime);
    found->st_mtim = as_theirs(got.stx_mtime);
    found->st_ctim = as_theirs(got.stx_ctime);
    uint64_t born = kept(fd, BIRTH, got.stx_btime.tv_sec * 1000000000ULL + got.stx_btime.tv_nsec);
    found->st_birthtim = (struct f_timespec){born / 1000000000, born % 1000000000};
    found->st_size = got.stx_size;
    found->st_blocks = got.stx_blocks;
    found->st_flags = kept(fd, FLAGS, 0);
    if (!is_empty)
        kernel(SYS_close, fd);
    return 0;
}

int f_fstatfs(int fd, struct f_statfs *found) EXPORT(fstatfs);
int f_fstatfs(int fd, struct f_statfs *found) {
    if (is_path_only(fd))
        return fail(F_EBADF); /* the manual page does not list it among what O_PATH is good for */
    memset(found, 0, sizeof *found);
    found->f_flags = standin_local ? F_MNT_LOCAL : 0;
    memcpy(found->f_fstypename, standin_fstypename, sizeof found->f_fstypename);
    return 0;
}

long f_fpathconf(int fd, int name) EXPORT(fpathconf);
long f_fpathconf(int fd, int name) {
    if (is_path_only(fd))
        return fail(F_EBADF);
    if (name == F__PC_MIN_HOLE_SIZE)
        return 512;
    if (name == F__PC_NAMEDATTR_ENABLED && RELEASE >= 15)
        return has_named();
    if (name == F__PC_DEALLOC_PRESENT && RELEASE >= 14)
        return 1;
    return fail(F_EINVAL);
}

/* Changing */

int f_utimensat(int fd, const char *path, const struct f_timespec *times, int flags) EXPORT(utimensat);
int f_utimensat(int fd, const char *path, const struct f_timespec *times, int flags) {
    struct timespec given[2];
    struct f_stat now;
    char proc_path[32];
    if (*path || flags != F_AT_EMPTY_PATH || f_fstatat(fd, "", &now, flags))
        return *path || flags != F_AT_EMPTY_PATH ? fail(F_EINVAL) : -1;
    for (int i = 0; i < 2; i++)
        given[i] = times[i].tv_nsec == F_UTIME_OMIT ? (struct timespec){0, UTIME_OMIT}
                                                    : (struct timespec){times[i].tv_sec, times[i].tv_nsec};
    if (kernel(SYS_utimensat, fd, "", given, AT_EMPTY_PATH_LINUX))
        return failed();
    uint64_t write_ns = times[1].tv_sec * 1000000000ULL + times[1].tv_nsec;
    uint64_t birth_ns = now.st_birthtim.tv_sec * 1000000000ULL + now.st_birthtim.tv_nsec;
    if (times[1].tv_nsec != F_UTIME_OMIT && write_ns < birth_ns) /* as kern_utimensat has it */
        kernel(SYS_setxattr, proc(fd, proc_path), BIRTH, &write_ns, sizeof write_ns, 0);
    return 0;
}

int f_fchmodat(int fd, const char *path, uint16_t mode, int flags) EXPORT(fchmodat);
int f_fchmodat(int fd, const char *path, uint16_t mode, int flags) {
    char again[32];
    if (*path || flags != F_AT_EMPTY_PATH)
        return fail(F_EINVAL);
    return kernel(SYS_fchmodat, AT_FDCWD, proc(fd, again), mode) ? failed() : 0;
}

int f_fchownat(int fd, const char *path, uint32_t uid, uint32_t gid, int flags) EXPORT(fchownat);
int f_fchownat(int fd, const char *path, uint32_t uid, uint32_t gid, int flags) {
    if (*path || flags != F_AT_EMPTY_PATH)
        return fail(F_EINVAL);
    return kernel(SYS_fchownat, fd, "", uid, gid, AT_EMPTY_PATH_LINUX) ? failed() : 0;
}

int f_chflagsat(int fd, const char *path, unsigned long flags, int at_flags) EXPORT(chflagsat);
int f_chflagsat(int fd, const char *path, unsigned long flags, int at_flags) {
    uint64_t value = flags;
    char again[32];
    if (*path || at_flags != F_AT_EMPTY_PATH)
        return fail(F_EINVAL);
    return kernel(SYS_setxattr, proc(fd, again), FLAGS, &value, sizeof value, 0) ? failed() : 0;
}

int f_funlinkat(int directory, const char *name, int fd, int flags) EXPORT(funlinkat);
int f_funlinkat(int directory, const char *name, int fd, int flags) {
    struct f_stat this, there;
    if (flags & ~F_AT_REMOVEDIR)
        return fail(F_EINVAL);
    if (f_fstatat(directory, name, &there, F_AT_SYMLINK_NOFOLLOW))
        return -1;
    if (fd != F_FD_NONE) {
        if (f_fstatat(fd, "", &this, F_AT_EMPTY_PATH))
            return -1;
        if (this.st_dev != there.st_dev || this.st_ino != there.st_ino)
            return fail(F_EDEADLK);
    }
    if (!kernel(SYS_unlinkat, directory, name, flags ? AT_REMOVEDIR : 0))
        return 0;
    return errno == EISDIR ? fail(F_EPERM) : failed();
}

/* Extended attributes */

static int prefixed(int fd, int space, const char *name, char *with_prefix) {
    if (is_path_only(fd))
        return fail(F_EBADF); /* getvnode(9), unlike getvnode_path(9), does not take O_PATH */
    if (space != F_EXTATTR_NAMESPACE_USER && space != F_EXTATTR_NAMESPACE_SYSTEM)
        return fail(F_EINVAL);
    if (space == F_EXTATTR_NAMESPACE_SYSTEM && kernel(SYS_geteuid))
        return fail(F_EPERM);
    if (strlen(name) >= F_EXTATTR_MAXNAMELEN - sizeof SYSTEM_PREFIX)
        return fail(F_ENAMETOOLONG);
    strcpy(stpcpy(with_prefix, space == F_EXTATTR_NAMESPACE_USER ? PREFIX : SYSTEM_PREFIX), name);
    return 0;
}

ssize_t f_extattr_get_fd(int fd, int space, const char *name, void *data, size_t size) EXPORT(extattr_get_fd);
ssize_t f_extattr_get_fd(int fd, int space, const char *name, void *data, size_t size) {
    char own[300], value[65536];
    if (prefixed(fd, space, name, own))
        return -1;
    ssize_t length;
    if (space == F_EXTATTR_NAMESPACE_USER && has_named()) {
        char path[600];
        struct stat there;
        int file = named_path(fd, name, 0, path) ? kernel(SYS_openat, AT_FDCWD, path, O_RDONLY) : -1;
        if (file < 0)
            return fail(F_ENOATTR);
        length = data ? kernel(SYS_read, file, data, size) : kernel(SYS_fstat, file, &there) ? -1 : there.st_size;
        kernel(SYS_close, file);
        return length;
    }
    length = kernel(SYS_fgetxattr, fd, own, value, sizeof value);
    if (length < 0)
        return errno == ENODATA ? fail(F_ENOATTR) : failed();
    if (!data)
        return length;
    if ((size_t)length > size)
        length = size; /* and nobody is told */
    memcpy(data, value, length);
    return length;
}

ssize_t f_extattr_set_fd(int fd, int space, const char *name, const void *data, size_t size) EXPORT(extattr_set_fd);
ssize_t f_extattr_set_fd(int fd, int space, const char *name, const void *data, size_t size) {
    char own[300];
    if (prefixed(fd, space, name, own))
        return -1;
    if (space == F_EXTATTR_NAMESPACE_USER && has_named()) {
        char path[600];
        int file = named_path(fd, name, 1, path)
            ? kernel(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
        if (file < 0)
            return failed();
        if (standin_split && size > (size_t)standin_split)
            size = standin_split; /* the disk is full, and nobody is told */
        ssize_t length = size ? kernel(SYS_write, file, data, size) : 0;
        kernel(SYS_close, file);
        return length;
    }
    return kernel(SYS_fsetxattr, fd, own, data, size, 0) ? failed() : (ssize_t)size;
}

int f_extattr_delete_fd(int fd, int space, const char *name) EXPORT(extattr_delete_fd);
int f_extattr_delete_fd(int fd, int space, const char *name) {
    char own[300];
    if (prefixed(fd, space, name, own))
        return -1;
    if (space == F_EXTATTR_NAMESPACE_USER && has_named()) {
        char path[600];
        return named_path(fd, name, 0, path) && !kernel(SYS_unlink, path) ? 0 : fail(F_ENOATTR);
    }
    if (kernel(SYS_fremovexattr, fd, own))
        return errno == ENODATA ? fail(F_ENOATTR) : failed();
    return 0;
}

struct linux_dirent { uint64_t inode, offset; uint16_t length; uint8_t type; char name[]; };
ssize_t f_extattr_list_fd(int fd, int space, void *data, size_t size) EXPORT(extattr_list_fd);
ssize_t f_extattr_list_fd(int fd, int space, void *data, size_t size) {
    char own[600], names[65536], list[65536];
    size_t used = 0;
    if (prefixed(fd, space, "", own))
        return -1;
    size_t prefix = strlen(own);
    int is_named = space == F_EXTATTR_NAMESPACE_USER && has_named(), folder;
    ssize_t length = 0;
    if (is_named && named_path(fd, "", 0, own) && (folder = kernel(SYS_openat, AT_FDCWD, own, O_RDONLY)) >= 0) {
        while ((length = kernel(SYS_getdents64, folder, names, sizeof names)) > 0)
            for (char *at = names; at < names + length; at += ((struct linux_dirent *)at)->length) {
                const char *name = ((struct linux_dirent *)at)->name;
                if (*name == '.')
                    continue;
                list[used] = strlen(name);
                memcpy(list + used + 1, name, list[used]);
                used += 1 + (unsigned char)list[used];
            }
        kernel(SYS_close, folder);
    } else if (!is_named)
        length = kernel(SYS_flistxattr, fd, names, sizeof names);
    if (length < 0)
        return failed();
    for (char *name = names; name < names + length; name += strlen(name) + 1)
        if (!strncmp(name, own, prefix) && strncmp(name, OWN, sizeof OWN - 1)) {
            size_t rest = strlen(name + prefix);
            list[used] = rest;
            memcpy(list + used + 1, name + prefix, rest);
            used += 1 + rest;
        }
    if (!data)
        return used;
    if (used > size)
        used = size;
    memcpy(data, list, used);
    return used;
}

/* Access control lists: those of Linux for POSIX.1e, on "ufs", and for NFSv4, on "zfs", an attribute of our own */

struct f_acl_entry { uint32_t ae_tag, ae_id, ae_perm; uint16_t ae_entry_type, ae_flags; };
struct f_acl { uint32_t acl_maxcnt, acl_cnt; int acl_spare[4]; struct f_acl_entry acl_entry[F_ACL_MAX_ENTRIES]; };
SAME_SIZE(acl); SAME_SIZE(acl_entry); SAME_PLACE(acl, acl_entry); SAME_PLACE(acl_entry, ae_flags);
struct linux_acl { uint32_t version; struct { uint16_t tag, perm; uint32_t id; } entries[F_ACL_MAX_ENTRIES]; };
struct kept_acl { uint32_t mode; struct f_acl_entry entries[F_ACL_MAX_ENTRIES]; };

static int is_family(int type) {
    if (!strcmp(standin_fstypename, "zfs"))
        return type == F_ACL_TYPE_NFS4;
    return !strcmp(standin_fstypename, "ufs") && (type == F_ACL_TYPE_ACCESS || type == F_ACL_TYPE_DEFAULT);
}

static const char *linux_name(int type) {
    return type == F_ACL_TYPE_ACCESS ? "system.posix_acl_access" : "system.posix_acl_default";
}

static int has_id(uint32_t tag) {
    return tag == F_ACL_USER || tag == F_ACL_GROUP;
}

static void add(struct f_acl *acl, uint32_t tag, uint32_t permissions, int type) {
    acl->acl_entry[acl->acl_cnt++] = (struct f_acl_entry){tag, F_ACL_UNDEFINED_ID, permissions, type, 0};
}

static uint32_t as_rights(int bits) {
    return (bits & 4 ? F_ACL_READ_DATA : 0) | (bits & 2 ? F_ACL_WRITE_DATA | F_ACL_APPEND_DATA : 0) |
           (bits & 1 ? F_ACL_EXECUTE : 0) | F_ACL_READ_ATTRIBUTES | F_ACL_READ_ACL;
}

/* What a list lets owner, group and others do, the first entry that says something of a right deciding. */
static uint32_t mode_of(const struct f_acl *acl) {
    static const uint32_t who[] = {F_ACL_USER_OBJ, F_ACL_GROUP_OBJ, 0};
    static const uint32_t rights[] = {F_ACL_READ_DATA, F_ACL_WRITE_DATA, F_ACL_EXECUTE};
    uint32_t mode = 0;
    for (int bit = 0; bit < 9; bit++)
        for (uint32_t i = 0; i < acl->acl_cnt; i++) {
            const struct f_acl_entry *entry = acl->acl_entry + i;
            if (entry->ae_flags & F_ACL_ENTRY_INHERIT_ONLY || !(entry->ae_perm & rights[bit % 3]) ||
                (entry->ae_tag != F_ACL_EVERYONE && entry->ae_tag != who[bit / 3]))
                continue;
            mode |= entry->ae_entry_type == F_ACL_ENTRY_TYPE_ALLOW ? 0400 >> bit : 0;
            break;
        }
    return mode;
}

int f_acl_get_fd(int fd, int type, struct f_acl *acl) EXPORT(__acl_get_fd);
int f_acl_get_fd(int fd, int type, struct f_acl *acl) {
    struct linux_acl stored;
    struct kept_acl kept_one;
    struct f_stat now;
    if (is_path_only(fd))
        return fail(F_EBADF);
    if (!is_family(type))
        return fail(F_EINVAL);
    if (acl->acl_maxcnt != F_ACL_MAX_ENTRIES)
        return fail(F_EINVAL);
    if (f_fstatat(fd, "", &now, F_AT_EMPTY_PATH))
        return -1;
    acl->acl_cnt = 0;
    if (type == F_ACL_TYPE_NFS4) {
        long length = kernel(SYS_fgetxattr, fd, NFS4, &kept_one, sizeof kept_one);
        if (length > 0 && kept_one.mode == (now.st_mode & 0777)) {
            acl->acl_cnt = (length - offsetof(struct kept_acl, entries)) / sizeof *kept_one.entries;
            memcpy(acl->acl_entry, kept_one.entries, acl->acl_cnt * sizeof *kept_one.entries);
        } else { /* nobody gave it one, or chmod took it away */
            add(acl, F_ACL_USER_OBJ, as_rights(now.st_mode >> 6), F_ACL_ENTRY_TYPE_ALLOW);
            add(acl, F_ACL_GROUP_OBJ, as_rights(now.st_mode >> 3), F_ACL_ENTRY_TYPE_ALLOW);
            add(acl, F_ACL_EVERYONE, as_rights(now.st_mode), F_ACL_ENTRY_TYPE_ALLOW);
        }
        return 0;
    }
    if (type == F_ACL_TYPE_DEFAULT && (now.st_mode & 0170000) != 0040000)
        return fail(F_EINVAL);
    long length = kernel(SYS_fgetxattr, fd, linux_name(type), &stored, sizeof stored);
    if (length < 0 && errno != ENODATA)
        return failed();
    if (length < 0 && type == F_ACL_TYPE_ACCESS) {
        add(acl, F_ACL_USER_OBJ, now.st_mode >> 6 & 7, 0);
        add(acl, F_ACL_GROUP_OBJ, now.st_mode >> 3 & 7, 0);
        add(acl, F_ACL_OTHER, now.st_mode & 7, 0);
    }
    for (int i = 0; length > 0 && i < (int)((length - 4) / sizeof *stored.entries); i++) {
        add(acl, stored.entries[i].tag, stored.entries[i].perm, 0);
        if (has_id(stored.entries[i].tag))
            acl->acl_entry[i].ae_id = stored.entries[i].id;
    }
    return 0;
}

int f_acl_set_fd(int fd, int type, const struct f_acl *acl) EXPORT(__acl_set_fd);
int f_acl_set_fd(int fd, int type, const struct f_acl *acl) {
    struct linux_acl stored = {.version = 2};
    struct kept_acl kept_one;
    char path[32];
    if (is_path_only(fd))
        return fail(F_EBADF);
    if (!is_family(type) || acl->acl_maxcnt != F_ACL_MAX_ENTRIES || !acl->acl_cnt || acl->acl_cnt > F_ACL_MAX_ENTRIES)
        return fail(F_EINVAL);
    for (uint32_t i = 0; i < acl->acl_cnt; i++) {
        const struct f_acl_entry *entry = acl->acl_entry + i;
        int kind = entry->ae_entry_type, is_nfs4 = type == F_ACL_TYPE_NFS4;
        if (!has_id(entry->ae_tag) != (entry->ae_id == F_ACL_UNDEFINED_ID))
            return fail(F_EINVAL);
        if (is_nfs4 ? kind != F_ACL_ENTRY_TYPE_ALLOW && kind != F_ACL_ENTRY_TYPE_DENY : kind || entry->ae_flags)
            return fail(F_EINVAL);
        if (entry->ae_tag == (is_nfs4 ? F_ACL_OTHER : F_ACL_EVERYONE) || (is_nfs4 && entry->ae_tag == F_ACL_MASK))
            return fail(F_EINVAL);
        if (!is_nfs4 && i && (entry[-1].ae_tag > entry->ae_tag || entry->ae_perm & ~7u))
            return fail(F_EINVAL); /* out of order */
        if (is_nfs4 && acl->acl_cnt > (F_ACL_MAX_ENTRIES - 6) / 2)
            return fail(F_ENOSPC);
        stored.entries[i].tag = entry->ae_tag;
        stored.entries[i].perm = entry->ae_perm;
        stored.entries[i].id = entry->ae_id;
    }
    if (type == F_ACL_TYPE_NFS4) {
        kept_one.mode = mode_of(acl);
        memcpy(kept_one.entries, acl->acl_entry, acl->acl_cnt * sizeof *acl->acl_entry);
        if (kernel(SYS_chmod, proc(fd, path), kept_one.mode) ||
            kernel(SYS_fsetxattr, fd, NFS4, &kept_one, 4 + acl->acl_cnt * sizeof *acl->acl_entry, 0))
            return failed();
        return 0;
    }
    return kernel(SYS_fsetxattr, fd, linux_name(type), &stored, 4 + acl->acl_cnt * sizeof *stored.entries, 0) ? failed() : 0;
}

/* Data */

ssize_t f_copy_file_range(int in, off_t *from, int out, off_t *to, size_t length, unsigned flags) EXPORT(copy_file_range);
ssize_t f_copy_file_range(int in, off_t *from, int out, off_t *to, size_t length, unsigned flags) {
    if (flags)
        return fail(F_EINVAL);
    if (standin_split && length > (size_t)standin_split)
        length = standin_split;
    ssize_t copied = kernel(SYS_copy_file_range, in, from, out, to, length, 0);
    return copied < 0 ? failed() : copied;
}

int f_posix_fallocate(int fd, off_t offset, off_t length) EXPORT(posix_fallocate);
int f_posix_fallocate(int fd, off_t offset, off_t length) {
    if (!standin_reserves)
        return RELEASE >= 15 && !strcmp(standin_fstypename, "zfs") ? F_EOPNOTSUPP : F_EINVAL;
    if (length <= 0)
        return F_EINVAL;
    if (standin_interrupts && standin_interrupts++ == 1)
        return F_EINTR;
    return kernel(SYS_fallocate, fd, 0, offset, length) ? (failed(), errno) : 0;
}

int f_cap_enter(void) EXPORT(cap_enter);
int f_cap_enter(void) {
    standin_confined = 1;
    return 0;
}

int f_cap_getmode(unsigned *mode) EXPORT(cap_getmode);
int f_cap_getmode(unsigned *mode) {
    *mode = standin_confined;
    return 0;
}

int f_sendfile(int fd, int sock, off_t offset, size_t length, struct f_sf_hdtr *around, off_t *sent, int flags)
    EXPORT(sendfile);
int f_sendfile(int fd, int sock, off_t offset, size_t length, struct f_sf_hdtr *around, off_t *sent, int flags) {
    long room = standin_split ? standin_split : 1L << 40;
    off_t taken = 0, size = kernel(SYS_lseek, fd, 0, SEEK_END);
    ssize_t count = 0;
    if (size < 0 || flags & ~F_SF_NODISKIO || (around && around->trailers))
        return fail(F_EINVAL);
    if (sent)
        *sent = 0;
    if (offset >= size)
        return 0; /* the head is not sent either */
    if (!length || offset + (off_t)length > size)
        length = size - offset;
    for (int i = 0; around && i < around->hdr_cnt && count >= 0; i++) {
        size_t part = around->headers[i].iov_len < (size_t)room ? around->headers[i].iov_len : (size_t)room;
        count = part ? kernel(SYS_sendto, sock, around->headers[i].iov_base, part, MSG_MORE | MSG_NOSIGNAL) : 0;
        if (count > 0) {
            taken += count;
            room -= count;
        }
        if (count >= 0 && (size_t)count < around->headers[i].iov_len) {
            count = -1;
            errno = EAGAIN;
        }
    }
    if (count >= 0 && standin_cold && flags & F_SF_NODISKIO) {
        count = -1;
        errno = EBUSY;
    }
    while (count >= 0 && length) {
        size_t part = length < (size_t)room ? length : (size_t)room;
        count = part ? kernel(SYS_sendfile, sock, fd, &offset, part) : -1;
        if (!part)
            errno = EAGAIN;
        if (count > 0) {
            taken += count;
            length -= count;
            room -= count;
        }
    }
    if (sent)
        *sent = taken;
    if (count >= 0)
        return 0;
    if (standin_interrupts && taken)
        return fail(F_EINTR);
    return failed();
}

#if RELEASE >= 14
int f_fspacectl(int fd, int command, const struct f_spacectl_range *asked, int flags, struct f_spacectl_range *rest)
    EXPORT(fspacectl);
int f_fspacectl(int fd, int command, const struct f_spacectl_range *asked, int flags, struct f_spacectl_range *rest) {
    int64_t offset = asked->r_offset, length = asked->r_len, size = kernel(SYS_lseek, fd, 0, SEEK_END);
    if (command != F_SPACECTL_DEALLOC || flags || offset < 0 || length <= 0)
        return fail(F_EINVAL);
    int64_t end = offset + length < size ? offset + length : size;
    int64_t part = end > offset ? end - offset : 0;
    int is_part = standin_split && part > standin_split;
    if (is_part)
        part = standin_split;
    if (part && kernel(SYS_fallocate, fd, PUNCH_HOLE, offset, part))
        return failed();
    if (rest)
        *rest = (struct f_spacectl_range){offset + part, is_part ? length - part : 0};
    return is_part && standin_interrupts ? fail(F_EINTR) : 0;
}
#endif

/* Watching */

/* kqueue with EVFILT_VNODE only, over inotify.  What inotify does not say of something held open (that its last name
 * is gone) is seen by looking: at whatever is told, all that is watched is asked for its links.  The directory above
 * of a directory is watched, too, so that there is something told when it is removed. */

#define MAX_NOTES 20000
struct f_kevent {
    uintptr_t ident; short filter; unsigned short flags; unsigned fflags; int64_t data; void *udata; uint64_t ext[4];
};
SAME_SIZE(kevent); SAME_PLACE(kevent, fflags);
static struct { int queue, fd, watch, above; uint64_t links; unsigned wanted, told; } notes[MAX_NOTES];
static int used;

int f_kqueue(void) EXPORT(kqueue);
int f_kqueue(void) {
    int fd = kernel(SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC);
    return fd < 0 ? failed() : fd;
}

static unsigned meaning(uint32_t mask) {
    return (mask & (IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) ? F_NOTE_WRITE : 0) |
           (mask & IN_ATTRIB ? F_NOTE_ATTRIB : 0) | (mask & IN_MOVE_SELF ? F_NOTE_RENAME : 0);
}

static int watch_note(int queue, int fd, unsigned wanted) {
    char path[48];
    struct f_stat now;
    if (used == MAX_NOTES || f_fstatat(fd, "", &now, F_AT_EMPTY_PATH))
        return fail(F_EINVAL);
    int is_directory = (now.st_mode & 0170000) == 0040000;
    uint32_t mask = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_MASK_ADD;
    mask |= is_directory ? IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO : 0;
    int watch = kernel(SYS_inotify_add_watch, queue, proc(fd, path), mask), above = -1;
    if (watch < 0)
        return failed();
    if (is_directory) {
        strcat(path, "/..");
        above = kernel(SYS_inotify_add_watch, queue, path, IN_DELETE | IN_MASK_ADD);
    }
    notes[used].queue = queue, notes[used].fd = fd, notes[used].watch = watch, notes[used].above = above;
    notes[used].links = now.st_nlink, notes[used].wanted = wanted, notes[used++].told = 0;
    return 0;
}

static void drain(int queue) {
    char buffer[65536] __attribute__((aligned(8)));
    ssize_t length;
    int any = 0;
    while ((length = kernel(SYS_read, queue, buffer, sizeof buffer)) > 0)
        for (char *at = buffer; at < buffer + length;) {
            struct inotify_event *event = (struct inotify_event *)at;
            at += sizeof *event + event->len;
            any = 1;
            for (int i = 0; i < used; i++) /* of a directory, what its entries suffer is no concern */
                if (notes[i].queue == queue && notes[i].watch == event->wd &&
                    !(event->len && event->mask & (IN_MODIFY | IN_ATTRIB)))
                    notes[i].told |= meaning(event->mask);
        }
    for (int i = 0; any && i < used; i++) {
        struct f_stat now;
        if (notes[i].queue != queue || f_fstatat(notes[i].fd, "", &now, F_AT_EMPTY_PATH))
            continue;
        if (now.st_nlink != notes[i].links) { /* which inotify calls a change of attributes, and kqueue does not */
            notes[i].told &= ~F_NOTE_ATTRIB;
            notes[i].told |= now.st_nlink ? F_NOTE_LINK : F_NOTE_DELETE;
        }
        notes[i].links = now.st_nlink;
    }
}

static void unwatch(int queue, int watch) {
    for (int i = 0; i < used; i++)
        if (notes[i].queue == queue && (notes[i].watch == watch || notes[i].above == watch))
            return;
    kernel(SYS_inotify_rm_watch, queue, watch);
}

int f_kevent(int queue, const struct f_kevent *changes, int change_count, struct f_kevent *events, int event_count,
    const struct f_timespec *timeout) EXPORT(kevent);
int f_kevent(int queue, const struct f_kevent *changes, int change_count, struct f_kevent *events, int event_count,
    const struct f_timespec *timeout) {
    int told = 0;
    for (int c = 0; c < change_count; c++) {
        int i = 0, fd = changes[c].ident;
        while (i < used && (notes[i].queue != queue || notes[i].fd != fd))
            i++;
        if (changes[c].filter != F_EVFILT_VNODE)
            return fail(F_EINVAL);
        if (changes[c].flags & F_EV_DELETE) {
            if (i == used)
                return fail(F_ENOENT);
            int watches[] = {notes[i].watch, notes[i].above};
            notes[i] = notes[--used];
            for (int w = 0; w < 2; w++)
                unwatch(queue, watches[w]);
            drain(queue); /* of IN_IGNORED: a kqueue says nothing of what it forgets */
        } else if (changes[c].flags != (F_EV_ADD | F_EV_CLEAR) || i < used)
            return fail(F_EINVAL);
        else if (watch_note(queue, fd, changes[c].fflags))
            return -1;
    }
    if (!event_count)
        return 0;
    if (!timeout || timeout->tv_sec || timeout->tv_nsec)
        return fail(F_EINVAL); /* nobody here waits */
    drain(queue);
    for (int i = 0; i < used && told < event_count; i++)
        if (notes[i].queue == queue && notes[i].told & notes[i].wanted) {
            events[told++] = (struct f_kevent){.ident = notes[i].fd, .filter = F_EVFILT_VNODE, .flags = F_EV_CLEAR,
                                               .fflags = notes[i].told & notes[i].wanted};
            notes[i].told = 0;
        } else if (notes[i].queue == queue)
            notes[i].told = 0;
    return told;
}

#if RELEASE >= 15
int f_inotify_init1(int flags) EXPORT(inotify_init1);
int f_inotify_init1(int flags) {
    if (flags & ~(F_IN_NONBLOCK | F_IN_CLOEXEC))
        return fail(F_EINVAL);
    int fd = kernel(SYS_inotify_init1,
        (flags & F_IN_NONBLOCK ? IN_NONBLOCK : 0) | (flags & F_IN_CLOEXEC ? IN_CLOEXEC : 0));
    return fd < 0 ? failed() : fd;
}

int f_inotify_add_watch_at(int fd, int directory, const char *path, uint32_t mask) EXPORT(inotify_add_watch_at);
int f_inotify_add_watch_at(int fd, int directory, const char *path, uint32_t mask) {
    char whole[4096];
    if (mask & ~(uint32_t)(F_IN_MODIFY | F_IN_ATTRIB | F_IN_MOVED_FROM | F_IN_MOVED_TO | F_IN_CREATE | F_IN_DELETE |
                           F_IN_MOVE_SELF | F_IN_ONLYDIR))
        return fail(F_EINVAL); /* numbers of Linux are the same, as abi.tsv and the headers here agree: */
    _Static_assert(F_IN_MODIFY == IN_MODIFY && F_IN_ATTRIB == IN_ATTRIB && F_IN_MOVED_FROM == IN_MOVED_FROM &&
        F_IN_MOVED_TO == IN_MOVED_TO && F_IN_CREATE == IN_CREATE && F_IN_DELETE == IN_DELETE &&
        F_IN_MOVE_SELF == IN_MOVE_SELF && F_IN_ONLYDIR == IN_ONLYDIR && F_IN_IGNORED == IN_IGNORED &&
        F_IN_Q_OVERFLOW == IN_Q_OVERFLOW && F_IN_ISDIR == IN_ISDIR, "inotify");
    snprintf(whole, sizeof whole, "/proc/self/fd/%d/%s", directory, path);
    int watch = kernel(SYS_inotify_add_watch, fd, whole, mask | IN_EXCL_UNLINK);
    return watch < 0 ? failed() : watch;
}

int f_inotify_rm_watch(int fd, int watch) EXPORT(inotify_rm_watch);
int f_inotify_rm_watch(int fd, int watch) {
    return kernel(SYS_inotify_rm_watch, fd, watch) ? failed() : 0;
}
#endif
