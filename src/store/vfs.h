/* vfs.h - SQLite's own writes through the gate of base/file.h, for tests. */
#ifndef STORE_VFS_H
#define STORE_VFS_H

#include "ken.h"

/* Make a VFS that counts and fails every change the default of this process.  KEN_E_IO. */
KEN_CALL ken_status kn_vfs_register(void);
/* The same when built with -DKEN_FAULTS and KEN_FAULT is set; else nothing. */
void kn_vfs_from_environment(void);

#endif
