from django.http import JsonResponse

from django_tasks_q import enqueue_on_commit

from .tasks import ask_for_review, send_receipt


def buy(request):
    result = send_receipt.enqueue(request.POST["order"])
    enqueue_on_commit(ask_for_review, request.POST["order"])
    return JsonResponse({"id": result.id})


def status(request, id):
    return JsonResponse({"finished": send_receipt.get_result(id).is_finished})
