/* A stand-in for libnvidia-ml.so.1 of a host with two GPUs, or GPUS of them, to be loaded by the
 * real pynvml.
 *
 * Layouts and signatures are written from NVML's documentation (nvml.h), not taken from pynvml, so
 * that each is a check of the other. All values are invented. GPU 0 tells of XID 31 twice; GPU 1 is
 * cut into MIG instances, of which there is one.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef unsigned int uint;
typedef unsigned long long ull;
typedef int nvmlReturn;
typedef struct device *nvmlDevice;
typedef struct set *nvmlEventSet;

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7, TIMEOUT = 10, ARGUMENT_VERSION_MISMATCH = 25 };

#ifndef GPUS
#define GPUS 2
#endif

struct device { int index; int mig; char uuid[48]; const char *name; char bus[17]; };
static struct device devices[GPUS];
static struct device instance = {1, 1, "MIG-0fa4e000-0000-4000-8000-000000000002", "Fake MIG", ""};
struct set { ull types[GPUS]; int told; };
static struct set the_set;

nvmlReturn nvmlInitWithFlags(uint flags) {
    for (int n = 0; n < GPUS; n++) {
        struct device *d = &devices[n];
        d->index = n;
        d->name = "Fake A100";
        snprintf(d->uuid, sizeof d->uuid, "GPU-0fa4e000-0000-4000-8000-%012d", n);
        snprintf(d->bus, sizeof d->bus, "00000000:%02X:00.0", 7 + n);
    }
    return flags == 0 ? SUCCESS : INVALID_ARGUMENT;
}
nvmlReturn nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(nvmlReturn code) { return code == NOT_FOUND ? "Not Found" : "Other"; }

static nvmlReturn text(char *to, uint room, const char *from) {
    if (strlen(from) >= room) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}
nvmlReturn nvmlSystemGetDriverVersion(char *to, uint room) { return text(to, room, "000.00.fake"); }
nvmlReturn nvmlDeviceGetCount_v2(uint *count) { *count = GPUS; return SUCCESS; }
nvmlReturn nvmlDeviceGetHandleByIndex_v2(uint index, nvmlDevice *device) {
    if (index >= GPUS) return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}
nvmlReturn nvmlDeviceGetUUID(nvmlDevice d, char *to, uint room) { return text(to, room, d->uuid); }
nvmlReturn nvmlDeviceGetName(nvmlDevice d, char *to, uint room) { return text(to, room, d->name); }

struct pci { char busIdLegacy[16]; uint domain, bus, device, pciDeviceId, pciSubSystemId; char busId[32]; };
nvmlReturn nvmlDeviceGetPciInfo_v3(nvmlDevice d, struct pci *pci) {
    memset(pci, 0, sizeof *pci);
    strcpy(pci->busId, d->bus);
    strcpy(pci->busIdLegacy, d->bus + 4);
    return SUCCESS;
}

struct memory_v2 { uint version; ull total, reserved, free, used; };
nvmlReturn nvmlDeviceGetMemoryInfo_v2(nvmlDevice d, struct memory_v2 *memory) {
    if (memory->version != (sizeof *memory | (2u << 24))) return ARGUMENT_VERSION_MISMATCH;
    memory->total = d->mig ? 10ull << 30 : 80ull << 30;
    memory->reserved = 1ull << 30;
    memory->used = d->mig ? 2ull << 30 : 60ull << 30;
    memory->free = memory->total - memory->reserved - memory->used;
    return SUCCESS;
}
struct utilization { uint gpu, memory; };
nvmlReturn nvmlDeviceGetUtilizationRates(nvmlDevice d, struct utilization *rates) {
    if (d->index == 1) return NOT_SUPPORTED;
    rates->gpu = 57;
    rates->memory = 31;
    return SUCCESS;
}
nvmlReturn nvmlDeviceGetEncoderUtilization(nvmlDevice d, uint *share, uint *period) {
    *share = 5; *period = 1000000; return SUCCESS;
}
nvmlReturn nvmlDeviceGetDecoderUtilization(nvmlDevice d, uint *share, uint *period) {
    *share = 12; *period = 1000000; return SUCCESS;
}
nvmlReturn nvmlDeviceGetPowerUsage(nvmlDevice d, uint *milliwatts) { *milliwatts = 312500; return SUCCESS; }
nvmlReturn nvmlDeviceGetTotalEnergyConsumption(nvmlDevice d, ull *millijoules) {
    *millijoules = 7200000123ull; return SUCCESS;
}
struct temperature { uint version; int sensor; int temperature; };
nvmlReturn nvmlDeviceGetTemperatureV(nvmlDevice d, struct temperature *found) {
    if (found->version != (sizeof *found | (1u << 24))) return ARGUMENT_VERSION_MISMATCH;
    found->temperature = found->sensor == 0 ? 64 : -1;
    return SUCCESS;
}
nvmlReturn nvmlDeviceGetClockInfo(nvmlDevice d, int clock, uint *mhz) {
    *mhz = clock == 1 ? 1410 : clock == 2 ? 1593 : 1; return SUCCESS;
}
nvmlReturn nvmlDeviceGetTotalEccErrors(nvmlDevice d, int type, int since, ull *count) {
    *count = 1 + 2 * type + 4 * since; return SUCCESS;
}
nvmlReturn nvmlDeviceGetRemappedRows(nvmlDevice d, uint *corrected, uint *uncorrected, uint *pending, uint *failed) {
    *corrected = 3; *uncorrected = 2; *pending = 1; *failed = 0; return SUCCESS;
}
nvmlReturn nvmlDeviceGetPcieThroughput(nvmlDevice d, int counter, uint *kilobytes) {
    *kilobytes = counter == 0 ? 250000 : 1500000; return SUCCESS;
}
nvmlReturn nvmlDeviceGetPcieReplayCounter(nvmlDevice d, uint *count) { *count = 9; return SUCCESS; }
nvmlReturn nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice d, ull *reasons) { *reasons = 4; return SUCCESS; }

union value { double dVal; uint uiVal; unsigned long ulVal; ull ullVal; long long sllVal; };
struct field { uint fieldId, scopeId; long long timestamp, latency; int valueType; nvmlReturn code; union value value; };
nvmlReturn nvmlDeviceGetFieldValues(nvmlDevice d, int count, struct field *fields) {
    for (struct field *field = fields; field < fields + count; field++) {
        field->code = SUCCESS;
        if (field->fieldId == 82) { field->valueType = 1; field->value.uiVal = 58; }
        else if (field->scopeId != 0xFFFFFFFFu) field->code = INVALID_ARGUMENT;
        else if (field->fieldId == 138) { field->valueType = 3; field->value.ullVal = 5000; }
        else if (field->fieldId == 139) { field->valueType = 3; field->value.ullVal = 3000; }
        else field->code = NOT_SUPPORTED;
    }
    return SUCCESS;
}

nvmlReturn nvmlDeviceGetMigMode(nvmlDevice d, uint *current, uint *pending) {
    *current = *pending = d->index == 1; return SUCCESS;
}
nvmlReturn nvmlDeviceGetMaxMigDeviceCount(nvmlDevice d, uint *count) { *count = 7; return SUCCESS; }
nvmlReturn nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice d, uint index, nvmlDevice *mig) {
    if (d->index != 1 || index != 3) return NOT_FOUND;
    *mig = &instance;
    return SUCCESS;
}
nvmlReturn nvmlDeviceGetGpuInstanceId(nvmlDevice d, uint *id) { *id = 5; return SUCCESS; }
nvmlReturn nvmlDeviceGetComputeInstanceId(nvmlDevice d, uint *id) { *id = 0; return SUCCESS; }

struct process { uint pid; ull used; uint gpuInstanceId, computeInstanceId; };
nvmlReturn nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice d, uint *count, struct process *found) {
    uint room = *count;
    *count = 2;
    if (room < 2) return INSUFFICIENT_SIZE;
    found[0] = (struct process){(uint)getpid(), 1ull << 30, 0xFFFFFFFFu, 0xFFFFFFFFu};
    found[1] = (struct process){4000001u, 2ull << 30, 0xFFFFFFFFu, 0xFFFFFFFFu};
    return SUCCESS;
}
nvmlReturn nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice d, uint *count, struct process *found) {
    *count = 0; return SUCCESS;
}

nvmlReturn nvmlEventSetCreate(nvmlEventSet *set) { memset(&the_set, 0, sizeof the_set); *set = &the_set; return SUCCESS; }
nvmlReturn nvmlDeviceGetSupportedEventTypes(nvmlDevice d, ull *types) { *types = 0x819f; return SUCCESS; }
nvmlReturn nvmlDeviceRegisterEvents(nvmlDevice d, ull types, nvmlEventSet set) {
    if (d->mig) return INVALID_ARGUMENT;
    set->types[d->index] = types;
    return SUCCESS;
}
struct event { nvmlDevice device; ull type, data; uint gpuInstanceId, computeInstanceId; };
nvmlReturn nvmlEventSetWait_v2(nvmlEventSet set, struct event *event, uint milliseconds) {
    if (set->told == 2 || set->types[0] != 0x1b || milliseconds != 1000) { usleep(50000); return TIMEOUT; }
    set->told++;
    *event = (struct event){&devices[0], 0x8, 31, 0xFFFFFFFFu, 0xFFFFFFFFu};
    return SUCCESS;
}
nvmlReturn nvmlEventSetFree(nvmlEventSet set) { return SUCCESS; }
