"""KEDA's ExternalScaler: translate and call."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from devteam.keda import externalscaler_pb2, externalscaler_pb2_grpc
from devteam_router.convert import scaling as convert
from devteam_router.scaling.advice import Advice

Context = grpc.aio.ServicerContext[Any, Any]


class ScalerServicer(externalscaler_pb2_grpc.ExternalScalerServicer):
    """What KEDA calls."""

    def __init__(self, advice: Advice) -> None:
        self._advice = advice

    async def IsActive(
        self, request: externalscaler_pb2.ScaledObjectRef, context: Context
    ) -> externalscaler_pb2.IsActiveResponse:
        """Whether there is any demand."""
        trigger = convert.trigger_from_proto(request)
        return externalscaler_pb2.IsActiveResponse(result=await self._advice.is_active(trigger.queue))

    async def StreamIsActive(
        self, request: externalscaler_pb2.ScaledObjectRef, context: Context
    ) -> AsyncGenerator[externalscaler_pb2.IsActiveResponse, None]:
        """The same, now and whenever it changes."""
        async with aclosing(self._advice.activity(convert.trigger_from_proto(request).queue)) as activity:
            async for active in activity:
                yield externalscaler_pb2.IsActiveResponse(result=active)

    async def GetMetricSpec(
        self, request: externalscaler_pb2.ScaledObjectRef, context: Context
    ) -> externalscaler_pb2.GetMetricSpecResponse:
        """What is measured, and how much of it one worker is good for."""
        return convert.spec_to_proto(convert.trigger_from_proto(request))

    async def StreamMetricSpec(
        self, request: externalscaler_pb2.ScaledObjectRef, context: Context
    ) -> AsyncGenerator[externalscaler_pb2.GetMetricSpecResponse, None]:
        """The same, at once. Stays open: KEDA would only ask again."""
        yield convert.spec_to_proto(convert.trigger_from_proto(request))
        await asyncio.get_running_loop().create_future()

    async def GetMetrics(
        self, request: externalscaler_pb2.GetMetricsRequest, context: Context
    ) -> externalscaler_pb2.GetMetricsResponse:
        """The demand."""
        trigger = convert.measured_from_proto(request)
        return convert.demand_to_proto(trigger, await self._advice.slots(trigger))
