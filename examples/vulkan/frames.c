/* A program with a Vulkan device of its own: the world computes on it, and every frame appears in an image of the program's, without a way
 * through the CPU. Another thread keeps using the same queue meanwhile, as a renderer would. Prints a hash of every frame, read back from the
 * image (ffi/tests/vulkan.rs holds them against the Rust interface).
 *
 *     frames MODEL [FRAMES] */
#include "causeway.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

/* The frame lies somewhere in a larger image, whose other pixels must stay as they are. */
enum { BORDER = 3, GREY = 0x77 };

static VkInstance instance;
static VkPhysicalDevice gpu;
static VkDevice device;
static VkQueue queue;
static VkCommandPool pool;
static VkImage image;
static VkBuffer buffer;
static uint8_t *mapped;
static uint32_t width, height;
static pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long locked;
static volatile int playing = 1;

static void stop(const char *what) {
    char text[512];
    cw_last_error(text, sizeof text, NULL);
    fprintf(stderr, "%s: %s\n", what, text);
    exit(1);
}
#define VK(call) ((call) == VK_SUCCESS ? (void)0 : stop(#call))
#define CW(call) ((call) >= 0 ? (void)0 : stop(#call))

static void lock(void *user) {
    pthread_mutex_lock(&queue_mutex);
    ++*(unsigned long *)user;
}

static void unlock(void *user) {
    (void)user;
    pthread_mutex_unlock(&queue_mutex);
}

/* Submits commands, or nothing, and waits for them. */
static void submit(VkCommandBuffer commands) {
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkSubmitInfo work = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = commands != NULL, .pCommandBuffers = &commands};
    VkFence fence;
    VK(vkCreateFence(device, &info, NULL, &fence));
    pthread_mutex_lock(&queue_mutex);
    VK(vkQueueSubmit(queue, 1, &work, fence));
    pthread_mutex_unlock(&queue_mutex);
    VK(vkWaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX));
    vkDestroyFence(device, fence, NULL);
}

static void *render(void *unused) {
    while (playing) submit(NULL);
    return unused;
}

/* An instance, its first GPU, and what the library wants of a device. */
static CwVulkan *look(CwVulkanNeeds *needs) {
    const char *extension = VK_KHR_GET_PHYSICAL_DEVICE_PROPERTIES_2_EXTENSION_NAME;
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &app,
                                 .enabledExtensionCount = 1,
                                 .ppEnabledExtensionNames = &extension};
    CwVulkanHost host = {.struct_size = sizeof host, .api_version = app.apiVersion};
    CwVulkan *vulkan;
    uint32_t one = 1;
    VkResult found;
    VK(vkCreateInstance(&info, NULL, &instance));
    found = vkEnumeratePhysicalDevices(instance, &one, &gpu);
    if (found != VK_INCOMPLETE) VK(found);
    host.instance = instance;
    host.physical_device = gpu;
    host.get_instance_proc_addr = (CwVulkanGetInstanceProcAddr)vkGetInstanceProcAddr;
    CW(cw_vulkan_create(&host, &vulkan));
    CW(cw_vulkan_needs(vulkan, needs));
    return vulkan;
}

static CwDevice *make_device(void) {
    CwVulkanNeeds needs = {.struct_size = sizeof needs};
    CwVulkan *vulkan = look(&needs);
    float priority = 1.0f;
    /* Family 0 draws and computes wherever there is graphics hardware. */
    VkDeviceQueueCreateInfo queues = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = needs.features,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queues,
                               .enabledExtensionCount = needs.extension_count,
                               .ppEnabledExtensionNames = needs.extensions};
    CwVulkanDevice host = {.struct_size = sizeof host, .lock = lock, .unlock = unlock, .lock_user = &locked};
    CwDevice *shared;
    VK(vkCreateDevice(gpu, &info, NULL, &device));
    vkGetDeviceQueue(device, 0, 0, &queue);
    host.device = device;
    CW(cw_vulkan_device_create(vulkan, &host, &shared));
    CW(cw_vulkan_destroy(vulkan));
    return shared;
}

static uint32_t memory_type(uint32_t allowed, VkMemoryPropertyFlags wanted) {
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t i;
    vkGetPhysicalDeviceMemoryProperties(gpu, &memory);
    for (i = 0; i < memory.memoryTypeCount; i++)
        if (allowed >> i & 1 && (memory.memoryTypes[i].propertyFlags & wanted) == wanted) return i;
    return fprintf(stderr, "no such memory\n"), exit(1), 0;
}

static VkDeviceMemory allocate(VkMemoryRequirements need, VkMemoryPropertyFlags wanted) {
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need.size};
    VkDeviceMemory memory;
    info.memoryTypeIndex = memory_type(need.memoryTypeBits, wanted);
    VK(vkAllocateMemory(device, &info, NULL, &memory));
    return memory;
}

/* Copies between the image (in TRANSFER_SRC or, to fill it, UNDEFINED layout) and the buffer that the CPU sees. */
static void copy(int fill) {
    VkCommandBufferAllocateInfo one = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool, .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkBufferImageCopy whole = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1}, .imageExtent = {width, height, 1}};
    VkImageMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
                                    .dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                    .newLayout = VK_IMAGE_LAYOUT_GENERAL,
                                    .image = image,
                                    .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
    VkCommandBuffer commands;
    VK(vkAllocateCommandBuffers(device, &one, &commands));
    VK(vkBeginCommandBuffer(commands, &begin));
    if (fill) {
        vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 1, &barrier);
        vkCmdCopyBufferToImage(commands, buffer, image, VK_IMAGE_LAYOUT_GENERAL, 1, &whole);
    } else {
        vkCmdCopyImageToBuffer(commands, image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer, 1, &whole);
    }
    VK(vkEndCommandBuffer(commands));
    submit(commands);
    vkFreeCommandBuffers(device, pool, 1, &commands);
}

static void make_image(void) {
    VkImageCreateInfo info = {.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
                              .imageType = VK_IMAGE_TYPE_2D,
                              .format = VK_FORMAT_R8G8B8A8_UNORM,
                              .extent = {width, height, 1},
                              .mipLevels = 1,
                              .arrayLayers = 1,
                              .samples = VK_SAMPLE_COUNT_1_BIT,
                              .usage = VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT};
    VkBufferCreateInfo bytes = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                .size = 4 * width * height,
                                .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT};
    VkCommandPoolCreateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    VkMemoryRequirements need;
    VkDeviceMemory memory;
    void *at;
    VK(vkCreateCommandPool(device, &commands, NULL, &pool));
    VK(vkCreateImage(device, &info, NULL, &image));
    vkGetImageMemoryRequirements(device, image, &need);
    VK(vkBindImageMemory(device, image, allocate(need, 0), 0));
    VK(vkCreateBuffer(device, &bytes, NULL, &buffer));
    vkGetBufferMemoryRequirements(device, buffer, &need);
    memory = allocate(need, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
    VK(vkBindBufferMemory(device, buffer, memory, 0));
    VK(vkMapMemory(device, memory, 0, VK_WHOLE_SIZE, 0, &at));
    mapped = at;
    memset(mapped, GREY, 4 * width * height);
    copy(1);
}

/* FNV-1a of the frame's part of the image; the rest must be grey. */
static uint64_t hash(void) {
    uint64_t hash = 0xcbf29ce484222325u;
    uint32_t x, y, i;
    memset(mapped, 0, 4 * width * height);
    copy(0);
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            for (i = 0; i < 4; i++) {
                uint8_t byte = mapped[4 * (y * width + x) + i];
                if (x >= BORDER && x < width - BORDER && y >= BORDER && y < height - BORDER)
                    hash = (hash ^ byte) * 0x100000001b3u;
                else if (byte != GREY)
                    fprintf(stderr, "pixel %u, %u is not the frame's and has changed\n", x, y), exit(1);
            }
    return hash;
}

int main(int argc, char **argv) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSessionInfo holds = {.struct_size = sizeof holds};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwVulkanImage target = {.struct_size = sizeof target, .x = BORDER, .y = BORDER};
    CwDevice *shared;
    CwModel *model;
    CwSession *session;
    pthread_t renderer;
    float *action;
    unsigned n, frames = argc > 2 ? (unsigned)atoi(argv[2]) : 10;

    if (argc < 2) return fprintf(stderr, "usage: frames MODEL [FRAMES]\n"), 2;
    shared = make_device();
    CW(cw_model_open_path(argv[1], strlen(argv[1]), &model));
    CW(cw_model_info(model, &info));
    width = info.width + 2 * BORDER;
    height = info.height + 2 * BORDER;
    make_image();
    CW(cw_session_options_init(&options));
    options.seed = 7;
    CW(cw_session_create(shared, model, &options, &session));
    CW(cw_session_info(session, &holds));
    action = calloc(info.actions + 1, sizeof *action);
    if (!action || pthread_create(&renderer, NULL, render, NULL) != 0) return fprintf(stderr, "no memory\n"), 1;

    target.image = (uint64_t)image;
    target.width = width;
    target.height = height;
    target.layout_before = VK_IMAGE_LAYOUT_GENERAL;
    target.layout_after = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
    for (n = 0; n < frames; n++) {
        CwStatus status;
        uint64_t shown;
        memset(action, 0, info.actions * sizeof *action);
        action[n / 3 % info.actions] = 1.0f;
        CW(cw_session_set_action(session, action, info.actions, NULL));
        while ((status = cw_session_pump(session, 2000)) != CW_FRAME) CW(status);
        if (n == 2) {
            /* A frame that comes back with a snapshot is shown too. */
            size_t bytes;
            void *snapshot = malloc(holds.snapshot_bytes);
            CW(cw_session_snapshot(session, snapshot, holds.snapshot_bytes, &bytes));
            if (cw_session_poll_frame(session, NULL, NULL) != CW_OK) stop("frame");
            CW(cw_session_restore(session, snapshot, bytes));
            free(snapshot);
        }
        if (cw_session_poll_image(session, &target, &receipt) != CW_OK) stop("image");
        shown = hash();
        printf("%u %016llx\n", (unsigned)receipt.frame, (unsigned long long)shown);
        target.layout_before = target.layout_after;
    }
    playing = 0;
    pthread_join(renderer, NULL);
    if (!locked) return fprintf(stderr, "the queue was used without its lock\n"), 1;
    target.x = width;
    if (cw_session_poll_image(session, &target, NULL) != CW_ERROR_ARGUMENT) return fprintf(stderr, "a frame outside its image\n"), 1;
    cw_session_destroy(session);
    cw_model_destroy(model);
    cw_device_destroy(shared);
    free(action);
    /* The library has left the device: nothing of it is lost or still at work. */
    VK(vkDeviceWaitIdle(device));
    vkDestroyCommandPool(device, pool, NULL);
    vkDestroyImage(device, image, NULL);
    vkDestroyBuffer(device, buffer, NULL);
    return 0;
}
