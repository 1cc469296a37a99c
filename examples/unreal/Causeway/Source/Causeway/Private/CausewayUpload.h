#pragma once

#include "CoreMinimal.h"
#include "RHITypes.h"

#include <atomic>

/**
 * A frame on its way to the render thread: the library writes its pixels here, the render thread reads them here, and nothing is allocated or
 * copied in between. It outlives its component where the render thread still reads.
 */
struct FCausewayUpload : FUpdateTextureRegion2D
{
	FCausewayUpload(int32 Width, int32 Height) : FUpdateTextureRegion2D(0, 0, 0, 0, Width, Height)
	{
		Pixels.SetNumZeroed(Width * Height * 4);
	}

	/** The component may write to it. */
	bool IsFree() const { return State.load(std::memory_order_acquire) == Free; }

	/** The render thread is given it. */
	void Give() { State.store(Given, std::memory_order_relaxed); }

	/** The render thread is done with what it knows by its region. */
	static void Return(uint8*, const FUpdateTextureRegion2D* Region)
	{
		auto* Upload = static_cast<FCausewayUpload*>(const_cast<FUpdateTextureRegion2D*>(Region));
		if (Upload->State.exchange(Free, std::memory_order_acq_rel) == Left) delete Upload;
	}

	/** The component is done with it. */
	static void Leave(FCausewayUpload* Upload)
	{
		if (Upload && Upload->State.exchange(Left, std::memory_order_acq_rel) == Free) delete Upload;
	}

	TArray<uint8> Pixels;

private:
	enum : uint8
	{
		Free,
		Given,
		Left,
	};
	std::atomic<uint8> State{Free};
};
